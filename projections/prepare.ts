import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { listParked } from "../sql/queries/parked.ts";
import { loadRows } from "../sql/table.ts";
import type { LaneKeys } from "../streams/keys.ts";
import type { LedgerEntry } from "../streams/ledger.ts";
import { type Batch, type Folded, foldShare, type Share, shareOf, toBatch } from "./batch.ts";
import type { LaneDeps } from "./lane-deps.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";
import { readAfter } from "./read.ts";
import type { ProjectorSettings } from "./settings.ts";

/** A batch, read and folded: what is left is to commit it. */
export interface Prepared {
  readonly batch: Batch;
  readonly folded: readonly Folded[];
  /** The checkpoint once it is committed. */
  readonly next: Checkpoint;
}

/**
 * Reads and folds the batches of a lane, as long as nobody else writes its rows. It keeps the rows it has folded, so that the next batch can be
 * prepared while the last one is being committed: should that fail, the preparer is thrown away with all it knows.
 */
export interface Preparer {
  /** The batch after a checkpoint; undefined when there is nothing after it. Throws HistoryDiverged and HistoryViolation. */
  prepare(from: Checkpoint): Promise<Prepared | undefined>;
}

/** A preparer that knows which keys are parked. Whoever takes a key back raises the epoch, so that a new preparer is made. */
export async function createPreparer(deps: LaneDeps, keys: LaneKeys): Promise<Preparer> {
  const parked = new Map<string, Set<string>>(deps.projections.map(({ name }) => [name, new Set()]));
  for (const { projection, key } of await listParked(deps.pool, deps.namespace)) parked.get(projection)?.add(key);
  const caches = new Map(deps.projections.map((projection) => [projection, createRowCache(deps.settings.cachedRows)]));
  const size = createBatchSize(deps.settings);

  const fold = async (projection: AnyProjection, share: Share): Promise<Folded> => {
    const cache = caches.get(projection) as RowCache;
    const before = cache.take(new Set(share.steps.map(({ key }) => key)));
    const loaded = await loadRows(
      deps.pool,
      { table: projection.table, namespace: deps.namespace, queue: deps.queue },
      before.missing,
    );
    for (const [key, row] of loaded) before.rows.set(key, row);
    const folded = foldShare(share, before.rows);
    cache.put(before.rows, folded);
    return folded;
  };
  return {
    async prepare(from) {
      const entries = await readAfter({ redis: deps.redis, keys }, from, size.count());
      if (entries.length === 0) return undefined;
      size.learn(entries);
      const batch = toBatch(entries, from);
      const shares = deps.projections.map((one) => shareOf(one, batch.events, parked.get(one.name) as Set<string>));
      const folded = await Promise.all(shares.map((share) => fold(share.projection, share)));
      const { ms, seq, token } = batch.to;
      return { batch, folded, next: { ...from, ms, seq, token } };
    },
  };
}

interface RowCache {
  /** The rows that are known of these keys, and the keys of the others. */
  take(keys: ReadonlySet<string>): { readonly rows: Map<string, AnyRow>; readonly missing: string[] };
  /** Keeps the rows that a batch began with, as it has left them. */
  put(before: ReadonlyMap<string, AnyRow>, folded: Folded): void;
}

/** Keeps the rows that were used last. */
function createRowCache(most: number): RowCache {
  const rows = new Map<string, AnyRow>();
  const put = (key: string, row: AnyRow) => {
    rows.delete(key); // to the end: a Map is in the order of insertion
    rows.set(key, row);
  };
  return {
    take(keys) {
      const known = new Map<string, AnyRow>();
      const missing: string[] = [];
      for (const key of keys) {
        const row = rows.get(key);
        if (row === undefined) missing.push(key);
        else known.set(key, row);
      }
      return { rows: known, missing };
    },
    put(before, folded) {
      for (const [key, row] of before) if (!folded.rows.has(key)) put(key, row);
      for (const [key, { row }] of folded.rows) put(key, row);
      // Those of this batch always stay: until it is committed, Postgres has older ones.
      const kept = Math.max(most, folded.rows.size);
      for (const key of rows.keys()) {
        if (rows.size <= kept) return;
        rows.delete(key);
      }
    },
  };
}

/** How many entries to ask for: as many as come to `batchBytes`, by what the last ones were like. */
function createBatchSize({ batchEntries, batchBytes }: ProjectorSettings) {
  let count = Math.min(batchEntries, 16); // sixteen of the largest are four megabytes
  return {
    count: () => count,
    learn(entries: readonly LedgerEntry[]) {
      const bytes = entries.reduce((sum, entry) => sum + entry.header.length + entry.events.length, 0);
      const fitting = Math.floor((batchBytes * entries.length) / Math.max(bytes, 1));
      count = Math.max(1, Math.min(fitting, batchEntries, count * 4));
    },
  };
}
