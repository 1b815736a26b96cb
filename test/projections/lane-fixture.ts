import type { TestContext } from "node:test";
import { type DatabasePool, type QuerySqlToken, sql } from "slonik";
import type { ProjectorNotice } from "../../projections/lane-deps.ts";
import type { OwnDefinition } from "../../projections/own.ts";
import { createProjection, type Projector } from "../../projections/project.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { ProjectorSettings } from "../../projections/settings.ts";
import { migrate } from "../../sql/migrate.ts";
import { type DatabaseSource, openPool } from "../../sql/pool.ts";
import { openRedis, ready } from "../../streams/connect.ts";
import { EVENT_VERSION, type EventDraft } from "../../streams/events.ts";
import { type LaneKeys, laneKeys } from "../../streams/keys.ts";
import { type Lane, registerQueue } from "../../streams/lane.ts";
import { encodeEvents, encodeHeader } from "../../streams/ledger.ts";

import { testDatabase, testNamespace, testRedis } from "../support/servers.ts";

type Redis = Lane["redis"];

/** Writes record batches as the scripts do, without what else they do. */
export interface Recorder {
  readonly redis: Redis;
  readonly keys: LaneKeys;
  /** Appends one entry with these events; gives its id. */
  record(...events: readonly object[]): Promise<string>;
  /** Appends an entry as it is given. */
  append(fields: { readonly header?: string; readonly events?: string; readonly id?: string }): Promise<string>;
}

/** A recorder for a queue. `connect` makes its connection, which ends with the test. */
export async function aRecorder(t: TestContext, url: string, namespace: string, queue = "default"): Promise<Recorder> {
  const redis = await openRedis(url, "tool");
  t.after(() => redis.disconnect(false));
  await ready(redis, 5_000);
  await registerQueue(redis, namespace, queue);
  const keys = laneKeys(namespace, queue);
  let call = 0;
  const header = () =>
    encodeHeader(
      { incarnation: "recorder", call: ++call, clockOffsetMs: 0 },
      { queue, at: Date.now(), worker: "worker-1" },
    );
  const append: Recorder["append"] = async (given) =>
    (await redis.xadd(
      keys.events,
      given.id ?? "*",
      "h",
      given.header ?? header(),
      "n",
      1,
      "events",
      given.events ?? "[]",
    )) as string;
  return {
    redis,
    keys,
    append,
    record: (...events) =>
      append({
        events: encodeEvents(events.map((event) => ({ v: EVENT_VERSION, ...event })) as unknown as EventDraft[]),
      }),
  };
}

/** A pool on a migrated database; ends with the test. */
export async function aPool(t: TestContext, url: string): Promise<DatabasePool> {
  const pool = await openPool(url, { size: 3 });
  t.after(() => pool.end());
  await migrate(pool);
  return pool;
}

/** A projector at work, and what it has told. */
export interface Running {
  readonly projector: Projector;
  readonly notices: ProjectorNotice[];
  readonly ended: Promise<void>;
  /** Stops it and waits until it has. */
  stop(): Promise<void>;
}

/** Quick enough for tests. */
const QUICK: Partial<ProjectorSettings> = {
  discoverEveryMs: 50,
  lookEveryMs: 20,
  standbyMs: 50,
  blockMs: 500,
  mostBackoffMs: 200,
  poolSize: 3,
};

/** What a projector is started with. */
export interface Start {
  readonly redis: string;
  readonly database: DatabaseSource;
  readonly namespace: string;
  readonly queues?: readonly string[];
  readonly settings?: Partial<ProjectorSettings>;
  readonly projections?: readonly AnyProjection[];
  readonly own?: readonly OwnDefinition[];
}

/** Starts a projector; it is stopped when the test ends. */
export function startProjector(
  t: TestContext,
  { redis, database, namespace, queues = [], settings, projections, own = [] }: Start,
): Running {
  const notices: ProjectorNotice[] = [];
  const stopping = new AbortController();
  const projector = createProjection({
    namespace,
    database,
    connect: (purpose) => openRedis(redis, purpose),
    queues: () => queues,
    announce: (notice) => notices.push(notice),
    settings: { ...QUICK, ...settings },
    own,
    ...(projections === undefined ? {} : { projections }),
  });
  const ended = projector.run(stopping.signal);
  ended.catch(() => {});
  const stop = async () => {
    stopping.abort();
    await ended.catch(() => {});
  };
  t.after(stop);
  return { projector, notices, ended, stop };
}

/** The rows of a query. */
export async function find(pool: DatabasePool, query: QuerySqlToken): Promise<Readonly<Record<string, unknown>>[]> {
  return [...(await pool.any(query))] as Record<string, unknown>[];
}

/** A lane with a recorder, and a migrated database that is still empty. */
export async function aLane(t: TestContext) {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await aPool(t, where.database);
  const recorder = await aRecorder(t, where.redis, where.namespace);
  const eventCount = async () =>
    Number((await find(pool, sql.unsafe`select count(*)::integer as n from ledger_events`))[0]?.n);
  return { where, pool, eventCount, ...recorder };
}

/** The events of a run that succeeds at once. */
export function aLife(run: string) {
  const of = { run, task: "noop" };
  const attempt = { ...of, attempt: 1, delivery: 1 };
  return [
    { type: "run.enqueued", ...of },
    { type: "run.started", ...attempt },
    { type: "run.succeeded", ...attempt, durationMs: 1 },
  ];
}
