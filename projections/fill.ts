import type { DatabaseTransactionConnection } from "slonik";
import { besideTransaction, sqlState, transactionOnce } from "../sql/pool.ts";
import { findCheckpointsOf, raiseEpochs } from "../sql/queries/checkpoints.ts";
import { applyVerdict, judge, suspectRows } from "../sql/queries/differences.ts";
import { findSession, hasFewRows, isWaitedFor, loadOwn, suspectAll } from "../sql/queries/fill.ts";
import { findHorizon } from "../sql/queries/lives.ts";
import { unpark } from "../sql/queries/parked.ts";
import { createShadow, dropShadow, type Shadow, type ShadowPosition } from "../sql/queries/shadow.ts";
import { insertNew, loadRows, upsertMany } from "../sql/table.ts";
import { createRun, type Keeping, type ReplayDeps, type Replayed, type ReplayOptions } from "./catch-up.ts";
import type { ChangedRows } from "./pending-rows.ts";
import type { AnyRow } from "./projection.ts";

/** A longer history is replayed by way of a shadow: some minutes are what one transaction may hold back vacuum for, and what may have to be done again. */
const MOST_EVENTS = 20_000_000;
/** With more rows in it, or more than one to so many events, a table is not emptied, but damaged: then it is compared. */
const FEW_ROWS = 1_000;
const EVENTS_PER_ROW = 100;

/** Somebody waits for what the filling holds. */
class GaveWay extends Error {}

/** Whether a table is as good as empty, of a projection that says when a row is over, and its history no longer than one transaction may take. */
export async function mayFill(deps: ReplayDeps, { live, namespace }: Shadow): Promise<boolean> {
  if (deps.projection.isOver === undefined) return false;
  const checkpoints = await findCheckpointsOf(deps.pool, deps);
  const events = checkpoints.reduce((sum, { eventsApplied }) => sum + eventsApplied, 0);
  const most = Math.min(FEW_ROWS, Math.floor(events / EVENTS_PER_ROW));
  return events <= MOST_EVENTS && hasFewRows(deps.pool, { table: live, namespace, most });
}

/**
 * Folds history into an emptied table itself, in one transaction: rows that are over are written once. The others, which the projector may write meanwhile, go into a shadow, and are
 * judged at the end like any difference. Killed, it leaves the table as it was. Undefined, and nothing done, when somebody waited for it: it is to be done by way of a shadow alone.
 */
export async function fill(deps: ReplayDeps, options: ReplayOptions, shadow: Shadow): Promise<Replayed | undefined> {
  const beside = besideTransaction(deps.pool);
  try {
    await transactionOnce(deps.pool, async (session) => {
      await createShadow(session, shadow, "");
      await suspectAll(session, shadow);
    });
    return await transactionOnce(deps.pool, (session) => fillIn(session, { deps, options, shadow, beside }));
  } catch (error) {
    if (error instanceof GaveWay || sqlState(error) === DEADLOCK) return undefined;
    throw error;
  }
}

const DEADLOCK = "40P01";

interface Filling {
  readonly deps: ReplayDeps;
  readonly options: ReplayOptions;
  readonly shadow: Shadow;
  /** Sees what is committed. */
  readonly beside: ReturnType<typeof besideTransaction>;
}

async function fillIn(session: DatabaseTransactionConnection, filling: Filling): Promise<Replayed> {
  const { deps, options, shadow } = filling;
  const { namespace, projection } = deps;
  const run = createRun(deps, options, 0);
  const table = await intoTable(session, filling);
  const events = await run.catchUpSoon(table);
  const more = await run.catchUp(table, "catching up", true);
  run.tell("applying");
  const verdict = await judge(session, shadow, options);
  await applyVerdict(session, shadow);
  await unpark(session, { namespace, projection: projection.name, except: [...run.left] });
  await raiseEpochs(session, deps);
  await dropShadow(session, shadow);
  return {
    ...verdict,
    insert: verdict.insert + table.inserted(),
    events: events + more,
    resumed: 0,
    differences: [],
    parked: run.left.size,
  };
}

type IntoTable = Keeping & { /** Rows that went straight into the table. */ inserted(): number };

/**
 * Rows go into the table itself when they are over and are written for the first time; every other, and what the table turns out to have, into the shadow, which holds good where both have a row.
 * Of the table's rows only those of this very transaction are read back: what another one wrote may know of later events.
 */
async function intoTable(
  session: DatabaseTransactionConnection,
  { deps: { projection }, shadow, beside }: Filling,
): Promise<IntoTable> {
  const { live, table, namespace } = shadow;
  const ours = await findSession(session);
  const positions = new Map<string, ShadowPosition>();
  const horizons = new Map<string, Promise<number>>();
  const horizonOf = (lane: string) => {
    const known = horizons.get(lane) ?? findHorizon(beside, lane);
    horizons.set(lane, known);
    return known;
  };
  const shade = async (rows: readonly AnyRow[]) => {
    const keys = rows.map((row) => String(row[live.key]));
    if (keys.length === 0) return;
    await transactionOnce(beside, async (other) => {
      await upsertMany(other, shadow, rows);
      await suspectRows(other, shadow, keys);
    });
  };
  let inserted = 0;
  return {
    session,
    archive: beside,
    inserted: () => inserted,
    positions: async () => [...positions.values()],
    async load(queue, keys) {
      const shaded = await loadRows(beside, { table, namespace, queue }, keys);
      const others = keys.filter((key) => !shaded.has(key));
      return new Map([...(await loadOwn(session, { table: live, namespace }, others)), ...shaded]);
    },
    async write({ fresh, again }: ChangedRows, to) {
      const horizon = await horizonOf(to.lane);
      const isReady = (row: AnyRow) => projection.isOver?.(row) === true && !(endOf(row) < horizon);
      const rest = [...again, ...fresh.filter((row) => !isReady(row))];
      const shading = shade(rest);
      shading.catch(() => {}); // told once the rows are in
      const inserting = insertNew(session, { table: live, namespace }, fresh.filter(isReady));
      const { count, refused } = await inserting.finally(() => shading);
      await shade(refused);
      if (await isWaitedFor(beside, ours)) throw new GaveWay();
      inserted += count;
      positions.set(to.lane, to);
    },
  };
}

/** When a row ended, in ms; never, for one that does not say. */
function endOf({ endedAt }: AnyRow): number {
  return typeof endedAt === "number" ? endedAt : Number.POSITIVE_INFINITY;
}
