import type { DatabasePool } from "slonik";
import {
  type Checkpoint,
  createCheckpoint,
  findCheckpoint,
  listCheckpoints,
  restartCheckpoint,
} from "../sql/queries/checkpoints.ts";
import { findForeignRun } from "../sql/queries/repair.ts";
import { loadRows } from "../sql/table.ts";
import type { LedgerEntry } from "../streams/ledger.ts";
import { projections } from "./all.ts";
import { laneName } from "./archive.ts";
import { type Batch, type Folded, foldShare, shareOf, toBatch } from "./batch.ts";
import { commitBatch } from "./commit.ts";
import { type ExportedEntry, fromExported } from "./export-format.ts";
import { IMPORTED, LEDGER } from "./lane-deps.ts";

/** An import that would mix histories, or cannot be carried out. */
export class ImportRefused extends Error {
  constructor(why: string) {
    super(why);
    this.name = "ImportRefused";
  }
}

/** What an import has done. */
export interface Imported {
  readonly queues: readonly string[];
  readonly entryCount: number;
  readonly eventCount: number;
  /** Keys that a fold, or Postgres, could not take. They are parked. */
  readonly parkedCount: number;
}

const ENTRIES_AT_ONCE = 500;

/**
 * Puts an exported ledger into the archive of a namespace that has none, and folds it into the tables, as a projector would have. Its lanes are
 * marked as imported: no projector goes on with them, and nothing of it is ever run. Throws ImportRefused before anything is written when the namespace
 * has a history, and where a run is known under another namespace of this database.
 */
export async function importLedger(
  pool: DatabasePool,
  namespace: string,
  entries: AsyncIterable<ExportedEntry>,
): Promise<Imported> {
  const known = await listCheckpoints(pool, namespace);
  if (known.length > 0) {
    const lanes = [...new Set(known.map(({ lane }) => lane))].join(", ");
    throw new ImportRefused(
      `Namespace "${namespace}" has a history of its own (${lanes}), and the two would mix. Name another one.`,
    );
  }
  const done = { entryCount: 0, eventCount: 0, parkedCount: 0 };
  const lanes = new Map<string, Checkpoint>();
  for await (const { queue, incarnation, batch } of inBatches(entries)) {
    const lane = laneName(namespace, queue);
    const at = await openLife(pool, { lane, incarnation: `${IMPORTED}${incarnation}`, before: lanes.get(queue) });
    const prepared = await prepare(pool, { namespace, queue }, toBatch(batch, at));
    const commit = await commitBatch(pool, at, prepared);
    if (commit.outcome === "lost") throw new ImportRefused(`somebody else is writing to ${lane}`);
    const { ms, seq, token, events } = prepared.batch.to;
    lanes.set(queue, { ...at, ms, seq, token });
    done.entryCount += batch.length;
    done.eventCount += events;
    done.parkedCount += commit.refusals.length;
  }
  return { ...done, queues: [...lanes.keys()] };
}

/** Consecutive entries of one life of a lane, some at a time. */
async function* inBatches(entries: AsyncIterable<ExportedEntry>) {
  let [queue, incarnation, batch]: [string, string, LedgerEntry[]] = ["", "", []];
  for await (const entry of entries) {
    if (
      batch.length > 0 &&
      (entry.queue !== queue || entry.incarnation !== incarnation || batch.length >= ENTRIES_AT_ONCE)
    ) {
      yield { queue, incarnation, batch };
      batch = [];
    }
    ({ queue, incarnation } = entry);
    batch.push(fromExported(entry));
  }
  if (batch.length > 0) yield { queue, incarnation, batch };
}

interface LifePlace {
  readonly lane: string;
  readonly incarnation: string;
  /** Where the lane stands; undefined when it is new. */
  readonly before: Checkpoint | undefined;
}

async function openLife(pool: DatabasePool, { lane, incarnation, before }: LifePlace): Promise<Checkpoint> {
  if (before?.incarnation === incarnation) return before;
  if (before === undefined) await createCheckpoint(pool, { lane, projection: LEDGER, incarnation });
  else await restartCheckpoint(pool, before, { incarnation, ms: 0, seq: 0, token: "", isRepaired: true });
  const opened = await findCheckpoint(pool, lane, LEDGER);
  if (opened?.incarnation !== incarnation) throw new ImportRefused(`somebody else is writing to ${lane}`);
  return opened;
}

async function prepare(
  pool: DatabasePool,
  { namespace, queue }: { readonly namespace: string; readonly queue: string },
  batch: Batch,
): Promise<{ readonly batch: Batch; readonly folded: readonly Folded[] }> {
  const folded: Folded[] = [];
  for (const projection of projections) {
    const share = shareOf(projection, batch.events, new Set());
    const keys = [...new Set(share.steps.map(({ key }) => key))];
    if (projection.name === "task_runs") await refuseForeign(pool, namespace, keys);
    folded.push(foldShare(share, await loadRows(pool, { table: projection.table, namespace, queue }, keys)));
  }
  return { batch, folded };
}

/** A run has one row in a database, whatever its namespace: to write it would take it away from where it came from. */
async function refuseForeign(pool: DatabasePool, namespace: string, runs: readonly string[]): Promise<void> {
  const foreign = await findForeignRun(pool, namespace, runs);
  if (foreign !== undefined)
    throw new ImportRefused(
      `Run ${foreign.id} is already known in this database, in namespace "${foreign.namespace}". Import into another database.`,
    );
}
