import type { EventDraft } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
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
/** Events per run: enqueued, started, succeeded. */
export const EVENTS_PER_RUN = 3;

/** The ledger of so many runs that succeed at once, a hundred to an entry, as of a producer and a worker that are busy: first dispatched, and started and settled a thousand runs later. */
export function* makeLedger(runCount: number): Generator<MadeEntry> {
  const ids = createRunIds("default");
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
    const attempt = { task: "send_welcome_email", attempt: 1, delivery: 1 };
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
    const runs = Array.from({ length: Math.min(BATCH, runCount - made) }, () => ids(at));
    waiting.push(runs);
    yield entry(
      runs.map((run) => ({
        type: "run.enqueued",
        run,
        task: "send_welcome_email",
        input: { userId: run.slice(-12), campaign: "spring" },
      })),
      at,
    );
    if (waiting.length > LAG_BATCHES) yield* work(at);
  }
  while (waiting.length > 0) yield* work(startedAt + runCount / BATCH);
}
