import type { Session } from "../sql/statement.ts";
import { loadRows } from "../sql/table.ts";
import type { Folded, Share } from "./batch.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";
import { createSeenKeys } from "./seen-keys.ts";

/** The rows of a table that is being filled, those that are not written yet included. */
export interface PendingRows {
  /** The rows that a share's keys have now. */
  take(share: Share): Promise<Map<string, AnyRow>>;
  /** Takes over what a share has come to. */
  put(folded: Folded): void;
  /** How many rows are still to be written. */
  count(): number;
  /** Has `write` write them, once the writing before is done; resolves then, while this one is still under way. */
  flush(write: (rows: readonly AnyRow[]) => Promise<void>): Promise<void>;
  /** Resolves once everything that was flushed is written. */
  settled(): Promise<void>;
}

/** What pending rows are kept for. */
export interface PendingDeps {
  readonly pool: Session;
  readonly projection: AnyProjection;
  readonly namespace: string;
  readonly queue: string;
  /** Written rows that are kept in memory, at most. */
  readonly cachedRows: number;
  /** False: the table was empty at the beginning, so that a key that was never written need not be looked up. */
  readonly hasRows: boolean;
}

/**
 * Keeps rows in memory until enough of them are together, since most runs are over by then and are written once; and writes them while the next
 * ones are folded. Rows that were written long ago are read again when an event comes after all.
 */
export function createPendingRows(deps: PendingDeps): PendingRows {
  const { pool, projection, namespace, queue } = deps;
  const written = new Map<string, AnyRow>();
  const seen = createSeenKeys(deps.hasRows);
  let pending = new Map<string, AnyRow>();
  let writing: { readonly rows: ReadonlyMap<string, AnyRow>; readonly done: Promise<void> } | undefined;

  const settled = async () => {
    await writing?.done;
  };
  const keep = (rows: ReadonlyMap<string, AnyRow>) => {
    for (const [key, row] of rows) {
      seen.add(key);
      written.delete(key); // to the end: a Map is in the order of insertion
      written.set(key, row);
    }
    for (const key of written.keys()) {
      if (written.size <= deps.cachedRows) break;
      written.delete(key);
    }
  };
  return {
    settled,
    count: () => pending.size,
    async take({ steps }) {
      const rows = new Map<string, AnyRow>();
      const missing = new Set<string>();
      for (const { key } of steps) {
        const row = pending.get(key) ?? writing?.rows.get(key) ?? written.get(key);
        if (row !== undefined) rows.set(key, row);
        else if (seen.mayHave(key)) missing.add(key);
      }
      for (const [key, row] of await loadRows(pool, { table: projection.table, namespace, queue }, [...missing]))
        rows.set(key, row);
      return rows;
    },
    put({ rows }) {
      for (const [key, { row }] of rows) pending.set(key, row);
    },
    async flush(write) {
      await settled();
      const rows = pending;
      pending = new Map();
      const done = write([...rows.values()]).then(() => keep(rows));
      done.catch(() => {}); // whoever waits for it is told
      writing = { rows, done };
    },
  };
}
