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
    name: "start",
    summary: "Runs worker, scheduler and projector in one process.",
    load: async () => (await import("./commands/start.ts")).start,
  },
  {
    name: "worker",
    summary: "Runs tasks.",
    load: async () => (await import("./commands/worker.ts")).worker,
  },
  {
    name: "scheduler",
    summary: "Fires crons, each slot once however many schedulers run.",
    load: async () => (await import("./commands/scheduler.ts")).scheduler,
  },
  {
    name: "projector",
    summary: "Keeps the archive and the tables in Postgres, and relays outbox and topics.",
    load: async () => (await import("./commands/projector.ts")).projector,
  },
  {
    name: "relay",
    summary: "Relays outbox and topics alone, where the projector is not enough.",
    load: async () => (await import("./commands/relay.ts")).relay,
  },
  {
    name: "migrate",
    summary: "Makes and updates the tables in Postgres.",
    load: async () => (await import("./commands/migrate.ts")).migrate,
  },
  {
    name: "runs",
    summary: "Lists the latest runs, by task, status or queue.",
    load: async () => (await import("./commands/runs.ts")).runs,
  },
  {
    name: "run",
    summary: "Shows one run, with its events.",
    load: async () => (await import("./commands/run.ts")).run,
  },
  {
    name: "history",
    summary: "Shows the life of one run, with the gaps between its events.",
    load: async () => (await import("./commands/history.ts")).history,
  },
  {
    name: "crons",
    summary: "Shows the schedules, in words, with their last and next slots.",
    load: async () => (await import("./commands/crons.ts")).crons,
  },
  {
    name: "queues",
    summary: "Shows each queue: what waits, runs, is scheduled and has died, its workers and its ledger.",
    load: async () => (await import("./commands/queues.ts")).queues,
  },
  {
    name: "topics",
    summary: "Shows who subscribes to which topic, and how far behind; pauses, resumes, dispatches again.",
    load: async () => (await import("./commands/topics.ts")).topics,
  },
  {
    name: "events",
    summary: "Shows the latest events of the ledger, archive and tail as one, and with --follow those to come.",
    load: async () => (await import("./commands/events.ts")).events,
  },
  {
    name: "export",
    summary: "Writes the ledger to a file, or a part of it, packed by its name.",
    load: async () => (await import("./commands/export.ts")).exportLedger,
  },
  {
    name: "import",
    summary: "Reads an exported ledger into the archive and the tables of another namespace.",
    load: async () => (await import("./commands/import.ts")).importInto,
  },
  {
    name: "parked",
    summary: "Lists what projections could not take, and takes it back.",
    load: async () => (await import("./commands/parked.ts")).parked,
  },
  {
    name: "dead",
    summary: "Lists dead runs, shows one, and runs them again.",
    load: async () => (await import("./commands/dead.ts")).dead,
  },
  {
    name: "replay",
    summary: "Folds a table again from its history, or compares the two; makes spans of history for a collector.",
    load: async () => (await import("./commands/replay.ts")).replay,
  },
  {
    name: "trigger",
    summary: "Fires a cron now.",
    load: async () => (await import("./commands/trigger.ts")).trigger,
  },
  {
    name: "cancel",
    summary: "Ends a waiting run, and asks a running one to end.",
    load: async () => (await import("./commands/cancel.ts")).cancel,
  },
  {
    name: "kiq",
    summary: "Dispatches a run of a task by hand.",
    load: async () => (await import("./commands/kiq.ts")).kiq,
  },
  {
    name: "doctor",
    summary: "Says what is wrong with Redis, Postgres, the streams and the settings, and what to do about it.",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
];
