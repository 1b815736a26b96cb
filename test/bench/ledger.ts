import type { EventDraft } from "../../streams/events.ts";
import { createRunIds, cronRunId } from "../../streams/ids.ts";
import { encodeEvents, encodeHeader } from "../../streams/ledger.ts";

/** An entry as a producer or a worker writes it, without its id. */
export interface MadeEntry {
  readonly header: string;
  readonly events: string;
  readonly count: number;
}

const BATCH = 100;
/** So many runs wait before they are worked. */
const LAG_BATCHES = 10;
/** Whose runs a ledger tells of: a producer's, or a schedule's. */
export type LedgerKind = "runs" | "slots";

/** Events per run: of a schedule's `slot.fired`; enqueued, started, succeeded. */
export const EVENTS_PER_RUN: Readonly<Record<LedgerKind, number>> = { runs: 3, slots: 4 };

/** The ledger of so many runs that succeed at once, a hundred to an entry, as of a producer and a worker that are busy: first dispatched, and started and settled a thousand runs later. */
export function* makeLedger(runCount: number, kind: LedgerKind = "runs"): Generator<MadeEntry> {
  const ids = createRunIds("default");
  const born = kind === "runs" ? dispatched : fired;
  const startedAt = Date.now();
  const waiting: string[][] = [];
  let call = 0;
  const entry = (events: readonly object[], at: number): MadeEntry => ({
    header: encodeHeader(
      { incarnation: "bench", call: ++call, clockOffsetMs: 0 },
      { queue: "default", at, worker: "host-1-abcdef" },
    ),
    events: encodeEvents(events as EventDraft[]),
    count: events.length,
  });
  const work = function* (at: number) {
    const runs = waiting.shift() ?? [];
    const attempt = { task: TASK, attempt: 1, delivery: 1 };
    yield entry(
      runs.flatMap((run) => [
        { type: "run.started", run, ...attempt, waitedMs: 12 },
        { type: "run.succeeded", run, ...attempt, durationMs: 3.25 },
      ]),
      at,
    );
  };
  for (let made = 0; made < runCount; made += BATCH) {
    const at = startedAt + made / BATCH;
    const runs = Array.from({ length: Math.min(BATCH, runCount - made) }, (_, n) =>
      kind === "runs" ? ids(at) : cronRunId({ namespace: "bench", ...SLOT, slotMs: slotOf(made + n), rerun: 0 }),
    );
    waiting.push(runs);
    yield entry(
      runs.flatMap((run, n) => born(run, made + n)),
      at,
    );
    if (waiting.length > LAG_BATCHES) yield* work(at);
  }
  while (waiting.length > 0) yield* work(startedAt + runCount / BATCH);
}

const SLOT = { queue: "default", schedule: "nightly" };
const TASK = "send_welcome_email";

function slotOf(n: number): number {
  return 1_700_000_000_000 + n * 60_000;
}

function dispatched(run: string): object[] {
  return [{ type: "run.enqueued", run, task: TASK, input: { userId: run.slice(-12), campaign: "spring" } }];
}

function fired(run: string, n: number): object[] {
  const of = { run, task: TASK, schedule: SLOT.schedule, slot: slotOf(n), trigger: "schedule", timezone: "UTC" };
  return [
    { type: "slot.fired", ...of, scheduledLocal: new Date(slotOf(n)).toISOString().slice(0, 19), lateMs: 3 },
    { type: "run.enqueued", ...of },
  ];
}
