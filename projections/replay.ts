import type { DatabasePool, DatabaseTransactionConnection } from "slonik";
import { transactionOnce } from "../sql/pool.ts";
import { findCheckpointsOf, raiseEpochs } from "../sql/queries/checkpoints.ts";
import {
  applyVerdict,
  insertMissing,
  isNearlyEmpty,
  judge,
  type Scope,
  suspectDifferences,
  suspectRows,
} from "../sql/queries/differences.ts";
import { unpark } from "../sql/queries/parked.ts";
import {
  createShadow,
  dropShadow,
  findPlan,
  findPositions,
  keepShadow,
  movePosition,
  type Shadow,
  type ShadowPosition,
  shadowOf,
} from "../sql/queries/shadow.ts";
import { type Session, statement } from "../sql/statement.ts";
import { loadRows, upsertMany } from "../sql/table.ts";
import { createRun, type Keeping, type ReplayDeps, type Replayed, type ReplayOptions } from "./catch-up.ts";
import { explain } from "./explain.ts";
import { fill, mayFill } from "./fill.ts";
import type { ChangedRows } from "./pending-rows.ts";

const NOTHING = { rows: 0, insert: 0, update: 0, delete: 0, carried: 0, differences: [] } as const;

/**
 * Folds a projection's history again while its table is served and kept up to date, and makes the table, in one transaction, what came of it: it stays
 * the same table, with its views, grants, foreign keys and prepared statements. An emptied one is filled; any other is mended by way of a shadow, with
 * which a next try goes on if this one is killed. Whoever calls sees to it that there is one at a time. Throws RebuildStopped and HistoryViolation.
 */
export async function replay(deps: ReplayDeps, options: ReplayOptions): Promise<Replayed> {
  const shadow = shadowOf(deps.projection.table, deps.namespace);
  const plan = planOf(deps, options);
  const isBegun = (await findPlan(deps.pool, shadow)) === plan;
  if (!isBegun && options.mode === "apply" && isWhole(options) && (await mayFill(deps, shadow))) {
    const filled = await fill(deps, options, shadow);
    if (filled !== undefined) return filled;
  }
  return compare(deps, options, { shadow, resumed: await openShadow(deps.pool, shadow, isBegun ? undefined : plan) });
}

/** Replays by way of a shadow. */
async function compare(
  deps: ReplayDeps,
  options: ReplayOptions,
  { shadow, resumed }: { readonly shadow: Shadow; readonly resumed: number },
): Promise<Replayed> {
  const { pool, namespace, projection } = deps;
  const run = createRun(deps, options, resumed);
  const events = await run.catchUpSoon(besideTable(pool, shadow));
  if (options.mode === "keep") {
    const note = `${projection.name} as of ${new Date(options.untilMs ?? Date.now()).toISOString()}, by tasktrail replay`;
    await transactionOnce(pool, (session) => keepShadow(session, shadow, { name: options.into as string, note }));
    return { ...NOTHING, events, resumed, parked: run.left.size };
  }
  run.tell("comparing");
  const isApplied = options.mode === "apply";
  const isFilled = isApplied && isWhole(options) && (await isNearlyEmpty(pool, shadow));
  await suspectDifferences(pool, shadow, isFilled);
  const judged = await transactionOnce(pool, async (session) => {
    if (!isApplied) await session.query(statement("set transaction isolation level repeatable read", []));
    const more = await run.catchUp(withinTransaction(session, shadow), "catching up", isApplied);
    const verdict = await judge(session, shadow, options);
    let insert = verdict.insert;
    const differences =
      options.mode === "verify"
        ? await explain(
            session,
            { ...deps, shadow, checkpoints: await findCheckpointsOf(session, deps) },
            options.most ?? 50,
          )
        : [];
    if (isApplied) {
      run.tell("applying");
      await applyVerdict(session, shadow);
      if (isFilled) insert += await insertMissing(session, shadow);
      await unpark(session, { namespace, projection: projection.name, except: [...run.left] });
      await raiseEpochs(session, deps);
    }
    await dropShadow(session, shadow);
    return { ...verdict, insert, more, differences };
  });
  return { ...judged, events: events + judged.more, resumed, parked: run.left.size };
}

/** What a shadow is made of, as text: one that was made of the same is gone on with. */
function planOf({ projection }: ReplayDeps, { fromMs, untilMs, tasks, queues }: ReplayOptions): string {
  return JSON.stringify({ projection: projection.name, version: projection.version, fromMs, untilMs, tasks, queues });
}

/** Takes up a shadow that was left, or makes a new one by a plan. Gives how many events are in it. */
async function openShadow(pool: DatabasePool, shadow: Shadow, plan: string | undefined): Promise<number> {
  if (plan !== undefined) await transactionOnce(pool, (session) => createShadow(session, shadow, plan));
  const positions = await findPositions(pool, shadow);
  return positions.reduce((sum, { events }) => sum + events, 0);
}

/** Into the shadow, a transaction for each writing: what is in it survives us. */
function besideTable(pool: DatabasePool, shadow: Shadow): Keeping {
  return {
    ...readingShadow(pool, shadow),
    write: (rows, to) => transactionOnce(pool, (session) => put(session, shadow, { rows, to })),
  };
}

/** Into the shadow, in the transaction that is going to judge it. */
function withinTransaction(session: DatabaseTransactionConnection, shadow: Shadow): Keeping {
  return {
    ...readingShadow(session, shadow),
    async write(rows, to) {
      await put(session, shadow, { rows, to });
      await suspectRows(session, shadow, keysOf(shadow, rows));
    },
  };
}

function readingShadow(session: Session, shadow: Shadow): Omit<Keeping, "write"> {
  const { table, namespace } = shadow;
  return {
    session,
    archive: session,
    positions: () => findPositions(session, shadow),
    load: (queue, keys) => loadRows(session, { table, namespace, queue }, keys),
  };
}

async function put(
  session: DatabaseTransactionConnection,
  shadow: Shadow,
  { rows, to }: { readonly rows: ChangedRows; readonly to: ShadowPosition },
): Promise<void> {
  await upsertMany(session, shadow, [...rows.fresh, ...rows.again]);
  await movePosition(session, shadow, to);
}

function keysOf({ live }: Shadow, { fresh, again }: ChangedRows): string[] {
  return [...fresh, ...again].map((row) => String(row[live.key]));
}

/** Whether all rows of the namespace are looked at. */
function isWhole({ tasks, queues, fromMs }: Scope): boolean {
  return tasks === undefined && queues === undefined && fromMs === undefined;
}
