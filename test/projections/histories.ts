import fc from "fast-check";
import type { EventType, LedgerEvent } from "../../streams/events.ts";
import { evolve, LEGAL, type RunState } from "../../streams/run.ts";
import { AT, anEvent } from "./events.ts";

const NOTES: readonly EventType[] = [
  "run.cancel_requested",
  "run.fenced",
  "run.redriven",
  "run.overran",
  "run.progressed",
];

/** The ids of the runs that `histories` tells of: every other one is a cron's. */
export const RUNS: readonly string[] = Array.from(
  { length: 8 },
  (_, n) => `01890000-0000-${n % 2 === 0 ? 7 : 5}abc-8000-00000000000${n}`,
);

/** Legal histories of up to eight runs, interleaved as in a ledger, several events to an entry. */
export const histories: fc.Arbitrary<LedgerEvent[]> = fc
  .array(fc.record({ run: fc.nat(RUNS.length - 1), choice: fc.nat(1_000), isNewEntry: fc.boolean() }), {
    maxLength: 120,
    size: "max",
  })
  .map((steps) => {
    const states = new Map<string, RunState>();
    const events: LedgerEvent[] = [];
    let entry = 0;
    let index = 0;
    for (const { run: n, choice, isNewEntry } of steps) {
      const run = RUNS[n] as string;
      const state = states.get(run) ?? "none";
      const type = legalTypes(state)[choice % legalTypes(state).length] as EventType;
      index = isNewEntry ? 0 : index + 1;
      if (isNewEntry) entry += 1;
      const at = AT + entry;
      const event = anEvent(
        type,
        { run, at, attempt: 1 + (choice % 3), position: `default/life1/${at}-0/${index}` },
        extras(type, run, choice),
      );
      states.set(run, evolve(state, event as { type: string }) ?? state);
      events.push(event);
    }
    return events;
  });

function legalTypes(state: RunState): EventType[] {
  const steps = (Object.keys(LEGAL) as EventType[]).filter((type) => LEGAL[type]?.from.includes(state));
  return state === "none" ? steps : [...steps, ...NOTES];
}

function extras(type: EventType, run: string, choice: number): object {
  if (type !== "run.enqueued") return {};
  return {
    ...(run[14] === "5" ? { schedule: "sync_external_data", slot: AT, trigger: "schedule" } : {}),
    ...(choice % 2 === 0 ? { dueAt: AT + 500 } : {}),
  };
}
