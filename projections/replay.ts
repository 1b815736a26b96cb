import type { DatabasePool, DatabaseTransactionConnection } from "slonik";
import { transactionOnce } from "../sql/pool.ts";
import { type Checkpoint, findCheckpointsOf, raiseEpochs } from "../sql/queries/checkpoints.ts";
import {
  applyVerdict,
  insertMissing,
  isNearlyEmpty,
  judge,
  type Scope,
  suspectDifferences,
  suspectRows,
  type Verdict,
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
import { upsertMany } from "../sql/table.ts";
import type { LedgerEvent } from "../streams/events.ts";
import type { Refusal } from "./batch.ts";
import { type Difference, explain } from "./explain.ts";
import { type FoldDeps, foldLane } from "./fold-lane.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";

/** What is to be replayed, and how. */
export interface ReplayOptions extends Scope {
  /** "apply": the differences go into the table. "verify": they are listed. "count": they are counted. "keep": the fold itself is kept, under `into`. */
  readonly mode: "apply" | "verify" | "count" | "keep";
  /** Folds what was recorded up to this instant, in ms. For "keep". */
  readonly untilMs?: number | undefined;
  readonly into?: string | undefined;
  /** Differences that are listed, at most. Default 50. */
  readonly most?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  onProgress?(progress: ReplayProgress): void;
}

/** How far a replay is. */
export interface ReplayProgress {
  readonly step: "folding" | "comparing" | "catching up" | "applying";
  /** Events folded, those of an earlier try that is gone on with included. */
  readonly events: number;
  /** Events there are to fold, about. */
  readonly total: number;
  /** Of those, how many an earlier try had folded. */
  readonly resumed: number;
}

/** What came of a replay. */
export interface Replayed extends Verdict {
  readonly events: number;
  readonly resumed: number;
  /** The first differences, when they were to be listed. */
  readonly differences: readonly Difference[];
  /** Keys that the fold could still not take: they are parked, and their rows stand where they stood. */
  readonly parked: number;
}

/** What a replay works with. */
export interface ReplayDeps {
  /** Without limits on statements and idle transactions; three sessions or more. */
  readonly pool: DatabasePool;
  readonly namespace: string;
  readonly projection: AnyProjection;
  /** The name of its checkpoints. */
  readonly checkpoint: string;
  /** Its keys that are parked. */
  readonly parked: ReadonlySet<string>;
}

/** The rebuild met an event that the fold cannot take. */
export class RebuildStopped extends Error {
  readonly code = "rebuild_stopped";
  constructor({ projection, key, event, error }: Refusal) {
    super(
      `The rebuild of ${projection} stopped at ${event.type} (${event.position ?? "no position"}), which the fold cannot take: ${error instanceof Error ? error.message : String(error)}. Key: ${key}. The table is as it was.`,
      { cause: error },
    );
    this.name = "RebuildStopped";
  }
}

/** A fold of what is behind is worth another round; the rest is folded while the projector waits. */
const SHORT_EVENTS = 2_000;
const MOST_ROUNDS = 20;

/**
 * Folds a projection's history into a shadow of its table while the table is served and kept up to date, and then, in one transaction, makes the
 * table what the shadow says: it stays the same table, with its views, grants, foreign keys and prepared statements. Gone on with where an
 * earlier try was killed. Whoever calls sees to it that there is one at a time. Throws RebuildStopped and HistoryViolation.
 */
export async function replay(deps: ReplayDeps, options: ReplayOptions): Promise<Replayed> {
  const { pool, namespace, projection } = deps;
  const shadow = shadowOf(projection.table, namespace);
  const resumed = await openShadow(pool, shadow, planOf(deps, options));
  const run = createRun(deps, options, { shadow, resumed });
  let events = 0;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const news = await run.catchUp(pool, "folding");
    events += news;
    if (news < SHORT_EVENTS || options.untilMs !== undefined) break;
  }
  if (options.mode === "keep") {
    const note = `${projection.name} as of ${new Date(options.untilMs ?? Date.now()).toISOString()}, by tasktrail replay`;
    await transactionOnce(pool, (session) => keepShadow(session, shadow, { name: options.into as string, note }));
    return {
      rows: 0,
      insert: 0,
      update: 0,
      delete: 0,
      carried: 0,
      differences: [],
      events,
      resumed,
      parked: run.left.size,
    };
  }
  run.tell("comparing");
  const isApplied = options.mode === "apply";
  const isFilled = isApplied && isWhole(options) && (await isNearlyEmpty(pool, shadow));
  await suspectDifferences(pool, shadow, isFilled);
  const judged = await transactionOnce(pool, async (session) => {
    if (!isApplied) await session.query(statement("set transaction isolation level repeatable read", []));
    const more = await run.catchUp(session, "catching up", isApplied);
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

/** Takes up a shadow that was left, or makes a new one. Gives how many events are in it. */
async function openShadow(pool: DatabasePool, shadow: Shadow, plan: string): Promise<number> {
  if ((await findPlan(pool, shadow)) === plan) {
    const positions = await findPositions(pool, shadow);
    return positions.reduce((sum, { events }) => sum + events, 0);
  }
  await transactionOnce(pool, (session) => createShadow(session, shadow, plan));
  return 0;
}

interface Run {
  /** Keys that are left out. */
  readonly left: ReadonlySet<string>;
  /** Folds everything up to where the table is now. Gives how many events that were. */
  catchUp(session: Session, step: ReplayProgress["step"], isLocked?: boolean): Promise<number>;
  tell(step: ReplayProgress["step"]): void;
}

function createRun(
  deps: ReplayDeps,
  options: ReplayOptions,
  { shadow, resumed }: { shadow: Shadow; resumed: number },
): Run {
  const { pool, namespace } = deps;
  const left = new Set<string>();
  let [done, total] = [resumed, 0];
  const tell = (step: ReplayProgress["step"]) => options.onProgress?.({ step, events: done, total, resumed });
  const tasks = options.tasks && new Set(options.tasks);
  const common = {
    namespace,
    projection: { ...deps.projection, table: shadow.table },
    signal: options.signal ?? new AbortController().signal,
    accepts: (event: LedgerEvent) => {
      const { task } = event as { readonly task?: string };
      return tasks === undefined || task === undefined || tasks.has(task);
    },
    onRefusal(refusal: Refusal): true {
      if (!deps.parked.has(refusal.key)) throw new RebuildStopped(refusal);
      left.add(refusal.key);
      return true;
    },
  };
  const catchUp: Run["catchUp"] = async (session, step, isLocked = false) => {
    const isInTransaction = session !== pool;
    const checkpoints = await findCheckpointsOf(session, deps, isLocked);
    total = checkpoints.reduce((sum, { eventsApplied }) => sum + eventsApplied, 0);
    const positions = new Map((await findPositions(session, shadow)).map((one) => [one.lane, one]));
    let events = 0;
    for (const until of checkpoints.filter((one) => isWantedLane(one, options))) {
      const after = positions.get(until.lane);
      const write = async (target: DatabaseTransactionConnection, rows: readonly AnyRow[], to: ShadowPosition) => {
        await upsertMany(target, { table: shadow.table, namespace }, rows);
        await movePosition(target, shadow, to);
        if (isInTransaction)
          await suspectRows(
            target,
            shadow,
            rows.map((row) => String(row[shadow.live.key])),
          );
      };
      const fold: FoldDeps = {
        ...common,
        pool: session,
        hasRows: after !== undefined,
        write: async (rows, at, some) => {
          const to = { lane: until.lane, ...at, events: (positions.get(until.lane)?.events ?? 0) + some };
          positions.set(until.lane, to);
          if (isInTransaction) await write(session as DatabaseTransactionConnection, rows, to);
          else await transactionOnce(pool, (one) => write(one, rows, to));
        },
        onProgress(some) {
          done += some;
          tell(step);
        },
      };
      const { fromMs, untilMs } = options;
      events += await foldLane(fold, { lane: until.lane, after, until, fromMs, untilMs });
    }
    return events;
  };
  return { left, catchUp, tell };
}

/** Whether all rows of the namespace are looked at. */
function isWhole({ tasks, queues, fromMs }: Scope): boolean {
  return tasks === undefined && queues === undefined && fromMs === undefined;
}

function isWantedLane({ lane, ms }: Checkpoint, { queues }: Scope): boolean {
  return ms > 0 && (queues === undefined || queues.includes(lane.slice(lane.indexOf(":") + 1)));
}
