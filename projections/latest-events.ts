import { listQueues } from "../streams/lane.ts";
import type { AnyEvent, LedgerSource } from "./read-lane.ts";
import { endMs, readLedger } from "./read-ledger.ts";

/** Which of the last events are wanted. Instants in ms since 1970 on Redis' clock, both included. */
export interface LatestQuery {
  /** How many, at most. */
  readonly limit: number;
  readonly from?: number | undefined;
  readonly until: number;
  /** Default: every queue of the namespace. */
  readonly queues?: readonly string[] | undefined;
  accept(event: AnyEvent): boolean;
}

const FIRST_MS = 1_000;
const WIDER = 8;

/**
 * The last events of a ledger, oldest first, over archive and tail alike. Read from its end, in stretches that get longer until there are enough: the
 * last fifty of a busy queue take no longer than those of one that was silent for a year. Throws LedgerGap.
 */
export async function latestEvents(
  source: LedgerSource,
  { limit, from = 0, until, queues, accept }: LatestQuery,
): Promise<AnyEvent[]> {
  let found: AnyEvent[] = [];
  for (let [end, width] = [until, FIRST_MS]; end >= from && found.length < limit; width *= WIDER) {
    const start = Math.max(from, end - width);
    const stretch: AnyEvent[] = [];
    for await (const event of readLedger(source, { from: start, until: end, queues })) {
      if (accept(event)) stretch.push(event);
      if (stretch.length >= 2 * limit) stretch.splice(0, stretch.length - limit);
    }
    found = [...stretch, ...found].slice(-limit);
    end = start - 1;
  }
  return found;
}

/** An instant, in ms, that no entry of the ledger is after: that of the last one, or the present on Redis' clock. */
export async function endOfLedger(source: LedgerSource, queues?: readonly string[]): Promise<number> {
  const names = queues ?? (await listQueues(source.redis, source.namespace));
  return Math.max(...(await Promise.all(names.map((queue) => endMs(source, queue)))), 0);
}
