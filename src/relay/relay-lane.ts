import type { DatabasePool } from "slonik";
import {
  assignBatch,
  findWaitingItems,
  type HeldLane,
  type OutboxItem,
  parkItem,
  raiseLastBatch,
  takeBatchAfter,
} from "../../sql/queries/outbox.ts";
import { pause } from "../../streams/lane.ts";
import type { Bell } from "../bell.ts";
import type { Notice } from "../middleware.ts";
import { cutBatch, type Sendable, type Sender } from "./sender.ts";
import { type RelaySettings, relayBackoffMs } from "./settings.ts";

/** What a lane is relayed with. */
export interface LaneRelay {
  readonly pool: DatabasePool;
  readonly owner: string;
  readonly sender: Sender;
  /** Rings when rows wait. */
  readonly bell: Bell;
  readonly settings: RelaySettings;
  announce(notice: Notice): void;
}

/** A batch that is assigned, and so has its number for ever. */
interface Batch {
  readonly number: number;
  readonly rows: readonly Sendable<unknown>[];
}

/**
 * Relays a lane until aborted, or until it is another relay's. A batch is numbered and committed before it is sent, and Redis takes none
 * but the next one; so whatever dies in between, whoever goes on from Redis' own number sends nothing twice and leaves nothing out.
 * When that number goes back, Redis has lost its tail: the batches after it are sent again, as far as the archive has not got them.
 */
export async function relayLane(deps: LaneRelay, held: HeldLane, signal: AbortSignal): Promise<void> {
  const { settings, sender, bell } = deps;
  let lastBatch = held.lastBatch;
  let mark: string | undefined;
  let failures = 0;
  let careAt = 0;
  while (!signal.aborted) {
    try {
      if (performance.now() > careAt) {
        careAt = performance.now() + settings.leaseMs / 3;
        mark = undefined; // asked for again: Redis may have become another one meanwhile
      }
      mark ??= await startingMark(deps, { ...held, lastBatch });
      lastBatch = Math.max(lastBatch, Number(mark));
      const batch = await nextBatch(deps, { lane: held.lane, lastBatch }, Number(mark));
      if (batch === "lost") return;
      failures = 0;
      if (batch === undefined) {
        await bell.sleep(settings.leaseMs / 3, signal);
        continue;
      }
      lastBatch = Math.max(lastBatch, batch.number);
      mark = await sender.send(batch.rows, { from: mark, to: String(batch.number), signal });
    } catch (error) {
      if (signal.aborted) return;
      mark = undefined;
      failures += 1;
      tellOf(deps, held.lane, { error, failures });
      await pause(relayBackoffMs(failures, settings), signal);
    }
  }
}

/** The number of the last batch that Redis has. One that Postgres does not know of is left behind: its rows were lost with it. */
async function startingMark({ sender, pool, announce }: LaneRelay, { lane, lastBatch }: HeldLane): Promise<string> {
  const mark = await sender.mark();
  await sender.prune?.(Number(mark));
  if (Number(mark) <= lastBatch) return mark;
  // Another relay may have had the lane meanwhile: then Postgres knows, and this one will be told at its next batch.
  if (!(await raiseLastBatch(pool, { lane, lastBatch: Number(mark) }))) return mark;
  announce({
    kind: "problem",
    what: "Redis has taken batches of the outbox that Postgres does not know of: Postgres has lost commits, and some runs may be dispatched twice",
    facts: { lane, known: lastBatch, taken: Number(mark) },
  });
  return mark;
}

async function nextBatch(
  deps: LaneRelay,
  { lane, lastBatch }: HeldLane,
  mark: number,
): Promise<Batch | "lost" | undefined> {
  const { pool, owner, settings } = deps;
  const assigned = mark < lastBatch ? await takeBatchAfter(pool, lane, mark) : undefined;
  if (assigned !== undefined) return { number: assigned.number, rows: await readable(deps, assigned.items) };
  for (;;) {
    const waiting = await findWaitingItems(pool, lane, settings.batchRows);
    if (waiting.length === 0) return undefined;
    const rows = cutBatch(await readable(deps, waiting));
    if (rows.length === 0) continue; // all of them were parked: there may be more behind them
    const ids = rows.map(({ id }) => id);
    if (!(await assignBatch(pool, { lane, lastBatch, owner }, ids))) return "lost";
    return { number: lastBatch + 1, rows };
  }
}

/** The rows that can be read; the others are parked, each with its reason. */
async function readable(
  { pool, sender, announce }: LaneRelay,
  items: readonly OutboxItem[],
): Promise<Sendable<unknown>[]> {
  const rows: Sendable<unknown>[] = [];
  for (const item of items) {
    try {
      rows.push(sender.decode(item));
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      await parkItem(pool, item.id, said.replaceAll("\0", "").slice(0, 2_000));
      announce({
        kind: "problem",
        what: "a row of the outbox cannot be read; it is parked, and everything else goes on",
        error,
        facts: { id: item.id, item: item.item },
      });
    }
  }
  return rows;
}

function tellOf(
  { announce }: LaneRelay,
  lane: string,
  { error, failures }: { error: unknown; failures: number },
): void {
  if (failures !== 1 && failures % 10 !== 0) return;
  announce({
    kind: "problem",
    what: "the outbox could not be relayed; its rows wait, and it will be tried again",
    error,
    facts: { lane, failures },
  });
}
