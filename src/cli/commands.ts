import type { Declare } from "./command.ts";

/** A command, before its module has been loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Declare>;
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "queues",
    summary: "Shows each queue: what waits, runs, is scheduled and has died, its workers and its ledger.",
    load: async () => (await import("./commands/queues.ts")).queues,
  },
  {
    name: "events",
    summary: "Shows the latest events of the ledger, and with --follow those to come.",
    load: async () => (await import("./commands/events.ts")).events,
  },
  {
    name: "dead",
    summary: "Lists dead runs, shows one, and runs them again.",
    load: async () => (await import("./commands/dead.ts")).dead,
  },
  {
    name: "doctor",
    summary: "Says what is wrong with Redis, Postgres, the streams and the settings, and what to do about it.",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
];
