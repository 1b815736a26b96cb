import type { TestContext } from "node:test";
import { type DatabasePool, sql } from "slonik";
import { projections } from "../../projections/all.ts";
import type { ReplayDeps, Replayed, ReplayOptions } from "../../projections/catch-up.ts";
import { LEDGER } from "../../projections/lane-deps.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { replay } from "../../projections/replay.ts";
import { openPool } from "../../sql/pool.ts";
import { listCheckpoints } from "../../sql/queries/checkpoints.ts";
import { statement } from "../../sql/statement.ts";
import { createRunIds, cronRunId } from "../../streams/ids.ts";
import { eventually } from "../support/servers.ts";
import { aLane, find, startProjector } from "./lane-fixture.ts";

/** The tables that come with the engine. */
export const TABLES: readonly string[] = ["task_runs", "cron_job_runs"];

const ids = createRunIds("default");
const error = {
  type: "RangeError",
  message: "out of range",
  stack: "RangeError: out of range\n    at here",
  fingerprint: "f00",
};

/** The events of a run's life, in entries, of one of several kinds: it succeeds, at once or at the second try, dies, waits, or is a cron's. */
export function aRunsLife(n: number, task = n % 2 === 0 ? "even" : "odd"): object[][] {
  const slot = 1_700_000_000_000 + n * 60_000;
  const isCron = n % 5 === 4;
  const run = isCron
    ? cronRunId({ namespace: "test", queue: "default", schedule: "nightly", slotMs: slot, rerun: 0 })
    : ids(Date.now());
  const of = { run, task };
  const attempt = { ...of, attempt: 1, delivery: 1 };
  const schedule = { schedule: "nightly", slot };
  const born = isCron
    ? [
        { type: "slot.fired", ...schedule, task, run, trigger: "schedule", lateMs: 3, timezone: "UTC" },
        { type: "run.enqueued", ...of, ...schedule, trigger: "schedule" },
      ]
    : [{ type: "run.enqueued", ...of, labels: { n: String(n) } }];
  const started = { type: "run.started", ...attempt, waitedMs: n };
  const failed = { type: "run.failed", ...attempt, error, durationMs: 5, retryAt: 9 };
  const succeeded = { type: "run.succeeded", ...attempt, durationMs: 7.5 };
  const lives = [
    [born, [started, succeeded]],
    [
      born,
      [started],
      [failed],
      [
        { type: "run.due", ...of },
        { ...started, attempt: 2 },
      ],
      [{ ...succeeded, attempt: 2 }],
    ],
    [born, [started], [{ type: "run.died", ...attempt, reason: "attempts", error, durationMs: 5 }]],
    [born],
    [[...born, started, succeeded]],
  ];
  return lives[n % lives.length] as object[][];
}

/** A lane whose archive holds the lives of some runs, and the means to replay it. */
export async function aHistory(t: TestContext, runs: number) {
  const lane = await aLane(t);
  const { pool, where, record } = lane;
  const wide = await openPool(where.database, { size: 4, statementTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });
  t.after(() => wide.end());
  const live = (from: number, to: number) => recordLives(record, from, to);
  await live(0, runs);
  const project = async () => {
    const end = (await lane.redis.xrevrange(lane.keys.events, "+", "-", "COUNT", 1))[0]?.[0];
    const projector = startProjector(t, where);
    await eventually(async () => (await reached(pool, where.namespace)) === end, { timeoutMs: 60_000 });
    await projector.stop();
  };
  await project();
  return {
    ...lane,
    live,
    project,
    replayTable: (name: string, options: Partial<ReplayOptions> = {}, deps: Partial<ReplayDeps> = {}) =>
      replayTable(wide, where.namespace, name, options, deps),
  };
}

async function reached(pool: DatabasePool, namespace: string): Promise<string> {
  const [checkpoint] = await listCheckpoints(pool, namespace);
  return `${checkpoint?.ms}-${checkpoint?.seq}`;
}

/** Records the lives of some runs, interleaved as those of several workers are. */
export async function recordLives(record: (...events: readonly object[]) => Promise<string>, from: number, to: number) {
  const lives = Array.from({ length: to - from }, (_, n) => aRunsLife(from + n));
  for (let step = 0; lives.some((life) => life.length > step); step += 1)
    for (let at = 0; at < lives.length; at += 7) {
      const events = lives.slice(at, at + 7).flatMap((life) => life[step] ?? []);
      if (events.length > 0) await record(...events);
    }
}

/** Replays a table that comes with the engine. */
export function replayTable(
  pool: DatabasePool,
  namespace: string,
  name: string,
  options: Partial<ReplayOptions> = {},
  deps: Partial<ReplayDeps> = {},
): Promise<Replayed> {
  const projection = projections.find((one) => one.name === name) as AnyProjection;
  const given = { pool, namespace, projection, checkpoint: LEDGER, parked: new Set<string>(), ...deps };
  return replay(given, { mode: "apply", ...options });
}

/** A table to the byte: each row as text, in order. */
export async function textOf(pool: DatabasePool, table: string): Promise<unknown[]> {
  return find(pool, statement(`select one::text as text from ${table} one order by 1`, []));
}

/** How many rows a table has. */
export async function sizeOfTable(pool: DatabasePool, table: string): Promise<number> {
  return Number((await find(pool, statement(`select count(*)::integer as n from ${table}`, [])))[0]?.n);
}

/** The tables that a replay has left behind. */
export async function leftovers(pool: DatabasePool): Promise<unknown[]> {
  return find(pool, sql.unsafe`select relname from pg_class where relname like '%\_replay\_%'`);
}
