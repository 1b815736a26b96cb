import type { Refusal, Share } from "./batch.ts";
import { type AnyProjection, type AnyRow, HistoryViolation } from "./projection.ts";
import { createSeenKeys } from "./seen-keys.ts";

/** Rows that are to be written: of keys that never were before, and of others. */
export interface ChangedRows {
  readonly fresh: readonly AnyRow[];
  readonly again: readonly AnyRow[];
}

/** The rows of a table that is being filled, those that are not written yet included. */
export interface PendingRows {
  /** Folds a share onto the rows of its keys. A key whose event is refused keeps the row of the event before. Throws HistoryViolation. */
  fold(share: Share): Promise<readonly Refusal[]>;
  /** How many rows are still to be written. */
  count(): number;
  /** Has `write` write them, once the writing before is done; resolves then, while this one is still under way. */
  flush(write: (rows: ChangedRows) => Promise<void>): Promise<void>;
  /** Resolves once everything that was flushed is written. */
  settled(): Promise<void>;
}

/** What pending rows are kept for. */
export interface PendingDeps {
  readonly projection: AnyProjection;
  /** The written rows of some keys, by key. */
  load(keys: readonly string[]): Promise<ReadonlyMap<string, AnyRow>>;
  /** Written rows that are kept in memory, at most. */
  readonly cachedRows: number;
  /** How many keys there may be, when the table was empty at the beginning, so that one that was never written need not be looked up. Left out: it had rows. */
  readonly keyCount: number | undefined;
}

/** A key with its row as the last event left it. One that is not pending stands so in the table, or is about to. */
interface Cell {
  readonly key: string;
  row: AnyRow | undefined;
  isPending: boolean;
  /** It was never written. */
  isFresh: boolean;
}

/**
 * Keeps rows in memory until enough of them are together, since most runs are over by then and are written once; and writes them while the next
 * ones are folded. Rows that were written long ago are read again when an event comes after all.
 */
export function createPendingRows(deps: PendingDeps): PendingRows {
  const { projection } = deps;
  const cells = new Map<string, Cell>();
  const seen = deps.keyCount === undefined ? undefined : createSeenKeys(deps.keyCount);
  let pending: Cell[] = [];
  let writing: Promise<void> = Promise.resolve();

  const cellsOf = async ({ steps }: Share): Promise<Cell[]> => {
    const found: Cell[] = [];
    const missing = new Map<string, Cell>();
    for (const { key } of steps) {
      let cell = cells.get(key);
      if (cell === undefined) {
        cell = { key, row: undefined, isPending: false, isFresh: true };
        cells.set(key, cell);
        if (seen?.mayHave(key) !== false) missing.set(key, cell);
      }
      found.push(cell);
    }
    if (missing.size === 0) return found;
    for (const [key, row] of await deps.load([...missing.keys()]))
      Object.assign(missing.get(key) as Cell, { row, isFresh: false });
    return found;
  };
  /** Forgets the oldest that are written. Neither while some are being written, since the table has not got them yet, nor in the middle of a fold. */
  const forget = () => {
    for (const [key, { isPending }] of cells) {
      if (cells.size - pending.length <= deps.cachedRows) return;
      if (!isPending) cells.delete(key);
    }
  };
  return {
    settled: () => writing,
    count: () => pending.length,
    async fold(share) {
      const refused = new Map<string, Refusal>();
      const found = await cellsOf(share);
      for (const [at, { key, event }] of share.steps.entries()) {
        if (refused.size > 0 && refused.has(key)) continue;
        const cell = found[at] as Cell;
        try {
          const next = projection.fold(cell.row, event);
          if (next === undefined || next === cell.row) continue;
          cell.row = next;
          if (!cell.isPending) pending.push(cell);
          cell.isPending = true;
        } catch (error) {
          if (error instanceof HistoryViolation) throw error;
          refused.set(key, { projection: projection.name, key, event, error });
        }
      }
      return [...share.refusals, ...refused.values()];
    },
    async flush(write) {
      await writing;
      forget();
      const written = pending;
      pending = [];
      const rows: { fresh: AnyRow[]; again: AnyRow[] } = { fresh: [], again: [] };
      for (const cell of written) {
        rows[cell.isFresh ? "fresh" : "again"].push(cell.row as AnyRow);
        cell.isPending = false;
        cell.isFresh = false;
        seen?.add(cell.key);
      }
      writing = write(rows);
      writing.catch(() => {}); // whoever waits for it is told
    },
  };
}
