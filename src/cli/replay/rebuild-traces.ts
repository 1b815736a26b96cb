import { createRebuilder, type Rebuilder } from "../../../otel/rebuild.ts";
import { type RebuiltSpan, taskOf } from "../../../otel/rebuilt-span.ts";
import { readRun } from "../../../projections/history.ts";
import type { AnyEvent, LedgerSource } from "../../../projections/read-lane.ts";
import { readLedger } from "../../../projections/read-ledger.ts";
import { isKnown, type LedgerEvent } from "../../../streams/events.ts";

/** Which spans are wanted. Instants in ms, those of the events that end them. */
export interface TracesWanted {
  readonly from?: number | undefined;
  readonly until?: number | undefined;
  readonly run?: string | undefined;
  readonly queues?: readonly string[] | undefined;
  readonly tasks?: readonly string[] | undefined;
  /** Spans that are handed on at once. */
  readonly batch: number;
}

/** Where they go. */
export interface TracesTaken {
  /** `sinceMs`: nothing that ended before it is in this batch or in a later one. */
  send(batch: readonly RebuiltSpan[], sinceMs: number): Promise<void>;
  /** Counts on, for whoever looks. */
  readonly progress: { spans: number; events: number };
}

/**
 * Rebuilds the spans of a stretch of the ledger, all queues as one, so that children and redriven runs find their origin. Of runs that were
 * dispatched before it, what came before is looked up. Gives how many attempts had begun and not ended.
 */
export async function rebuildTraces(
  source: LedgerSource,
  { tasks, batch: most, ...query }: TracesWanted,
  { send, progress }: TracesTaken,
): Promise<{ readonly open: number }> {
  const rebuilder = createRebuilder();
  let batch: RebuiltSpan[] = [];
  let sinceMs = query.from ?? 0;
  const flush = async () => {
    if (batch.length > 0) await send(batch, sinceMs);
    progress.spans += batch.length;
    batch = [];
  };
  for await (const event of readLedger(source, query)) {
    progress.events += 1;
    if (!isKnown(event.type)) continue;
    const known = event as LedgerEvent;
    await recall(rebuilder, source, known);
    if (batch.length === 0) sinceMs = event.at;
    batch.push(...rebuilder.take(known).filter((span) => tasks === undefined || tasks.includes(taskOf(span))));
    if (batch.length >= most) await flush();
  }
  await flush();
  return { open: rebuilder.openCount() };
}

/** Tells a rebuilder what came before an event of a run that it has not heard of. */
async function recall(rebuilder: Rebuilder, source: LedgerSource, event: LedgerEvent): Promise<void> {
  if (!rebuilder.isStrange(event)) return;
  const { run, queue } = event as { readonly run: string; readonly queue: string };
  for (const earlier of await readRun(source, run, [queue])) {
    if (isSame(earlier, event)) return;
    if (isKnown(earlier.type)) rebuilder.take(earlier as LedgerEvent);
  }
}

function isSame(one: AnyEvent, other: AnyEvent): boolean {
  return one.position !== undefined && one.position === other.position;
}
