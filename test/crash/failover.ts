import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { type DatabasePool, sql } from "slonik";
import { LEDGER } from "../../projections/lane-deps.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { createBroker } from "../../src/broker.ts";
import type { Server } from "../../src/dev/server.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createProjector } from "../../src/projector.ts";
import { createWorker } from "../../src/worker.ts";
import { ENDINGS } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";

/** A busy machine takes its time. On an idle one nothing waits so long. */
const SLOW_MS = 120_000;

/** What a failover is played with. */
export interface FailoverStage {
  readonly pool: DatabasePool;
  readonly database: string;
  readonly namespace: string;
  /** How long the primary goes on after its replica has heard the last of it, in ms. */
  readonly tailMs: number;
}

/** What came of one. Everything but `lostUnarchived` and `tail` must be as it says. */
export interface FailoverTally {
  /** Entries of the tail that were archived and are not on the new primary. */
  readonly tail: number;
  /** True: the projector said that history is another one, and that it has repaired it. */
  readonly isNoticed: boolean;
  readonly restored: number;
  readonly withdrawn: number;
  /** Runs that somebody was promised, and that neither the new primary nor the archive has heard of. Redis lost them; nobody can know. */
  readonly lostUnarchived: number;
  /** Runs that are known and have not ended. To be 0. */
  readonly unended: number;
  /** Runs that have more than one ending in one life of the lane. To be 0. */
  readonly doubled: number;
  readonly dispatched: number;
}

/** A primary that dies under load with its tail unreplicated, and the replica in its place: real processes behind one address. */
export async function failOver(stage: FailoverStage): Promise<FailoverTally> {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(await startRedis());
  const replica = stack.use(await startRedis());
  const address = stack.use(await openAddress(primary.port));
  const first = await connectTo(primary, stack);
  const second = await connectTo(replica, stack);
  const password = decodeURIComponent(new URL(primary.url).password);
  await second.config("SET", "masterauth", password);
  await second.config("SET", "requirepass", password);
  await second.replicaof("127.0.0.1", primary.port);
  await until(async () => (await second.info("replication")).includes("master_link_status:up"));

  const url = Object.assign(new URL(primary.url), { port: String(address.port) }).href;
  const notices: { readonly kind: string; readonly restoredCount?: number; readonly withdrawnCount?: number }[] = [];
  const broker = stack.use(
    createBroker({ redis: url, database: stage.database, namespace: stage.namespace, logger: silent }),
  );
  const task = broker.task({ name: "work", retry: { attempts: 3, delay: "50ms" }, run: work });
  const projector = stack.use(createProjector(listening(stage, url, notices)));
  const worker = stack.use(createWorker(broker, { lease: "1s", concurrency: 10 }));
  const running = [worker.run(), projector.run()];

  const promised = new Set<string>();
  const load = startLoad(task, promised);
  const keys = laneKeys(stage.namespace, "default");
  const lastId = async () => (await first.xrevrange(keys.events, "+", "-", "COUNT", 1))[0]?.[0];
  const early = await lastId();
  await until(async () => promised.size > 60 && (await isArchived(stage, early)), SLOW_MS); // the projector is at work
  await second.replicaof("NO", "ONE"); // it hears no more; everybody else goes on with the primary
  await delay(stage.tailMs);
  const last = await lastId();
  await until(() => isArchived(stage, last), SLOW_MS); // what comes after it may be lost for good
  await primary.kill();
  const tail = await lostTail(stage, second, keys.events);
  address.turnTo(replica.port);
  await until(() => notices.some(({ kind }) => kind === "lane.repaired"), SLOW_MS).catch(() => {});
  await load.stop();
  const tally = await settle(stage, { redis: second, promised });
  await Promise.all([worker.stop(), projector.stop()]);
  await Promise.all(running);
  const repaired = notices.find(({ kind }) => kind === "lane.repaired");
  return {
    ...tally,
    tail,
    isNoticed: repaired !== undefined,
    restored: repaired?.restoredCount ?? 0,
    withdrawn: repaired?.withdrawnCount ?? 0,
    dispatched: promised.size,
  };
}

async function work(_input: unknown, _deps: unknown, run: { readonly attempt: number }): Promise<void> {
  await delay(Math.random() * 30);
  if (run.attempt === 1 && Math.random() < 0.1) throw new Error("once in a while");
}

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A broker whose notices are gathered: those of the projector. */
function listening(stage: FailoverStage, redis: string, notices: object[]) {
  const hear = (facts: object, message?: string) => {
    const kind = message?.includes("brought back from the archive") ? "lane.repaired" : "other";
    notices.push({ ...facts, kind });
  };
  const logger = { debug: hear, info: hear, warn: hear, error: hear, child: () => logger };
  return createBroker({ redis, database: stage.database, namespace: stage.namespace, logger });
}

/** Dispatches without a pause, a few at a time; what resolved was promised. */
function startLoad(task: { kiq(): Promise<{ readonly id: string }> }, promised: Set<string>) {
  let isOver = false;
  const one = async () => {
    while (!isOver) {
      await task
        .kiq()
        .then(({ id }) => promised.add(id))
        .catch(() => {});
      await delay(4);
    }
  };
  const all = Array.from({ length: 4 }, one);
  return {
    async stop() {
      isOver = true;
      await Promise.all(all);
    },
  };
}

async function isArchived({ pool, namespace }: FailoverStage, id: string | undefined): Promise<boolean> {
  const checkpoint = await findCheckpoint(pool, `${namespace}:default`, LEDGER);
  const [ms = 0, seq = 0] = (id ?? "0-0").split("-").map(Number);
  return checkpoint !== undefined && (checkpoint.ms > ms || (checkpoint.ms === ms && checkpoint.seq >= seq));
}

/** How many archived entries the new primary does not have. */
async function lostTail({ pool, namespace }: FailoverStage, redis: Redis, events: string): Promise<number> {
  const [last] = await redis.xrevrange(events, "+", "-", "COUNT", 1);
  const [ms = 0, seq = 0] = (last?.[0] ?? "0-0").split("-").map(Number);
  const rows = await pool.any(sql.unsafe`
    select count(*)::integer as n from ledger_entries
    where lane = ${`${namespace}:default`} and (ms, seq) > (${ms}::bigint, ${seq}::bigint)`);
  return (rows[0] as { n: number }).n;
}

/** Waits until every known run has ended, and counts. */
async function settle(
  stage: FailoverStage,
  { redis, promised }: { readonly redis: Redis; readonly promised: ReadonlySet<string> },
): Promise<Pick<FailoverTally, "lostUnarchived" | "unended" | "doubled">> {
  const keys = laneKeys(stage.namespace, "default");
  const counts = async () => {
    const [last] = await redis.xrevrange(keys.events, "+", "-", "COUNT", 1);
    const rows = await stage.pool.any(sql.unsafe`
      select run, incarnation, count(*) filter (where type = any(${sql.array([...ENDINGS], "text")}))::integer as endings
      from ledger_events where namespace = ${stage.namespace} and run is not null group by run, incarnation
      having bool_or(type not in ('run.fenced', 'run.cancel_requested'))`);
    const runs = rows as readonly { readonly run: string; readonly incarnation: string; readonly endings: number }[];
    const known = Map.groupBy(runs, ({ run }) => run);
    const unended = [...known.values()].filter((lives) => lives.every(({ endings }) => endings === 0)).length;
    const doubled = runs.filter(({ endings }) => endings > 1).length;
    const lostUnarchived = [...promised].filter((run) => !known.has(run)).length;
    return { isAll: await isArchived(stage, last?.[0]), unended, doubled, lostUnarchived };
  };
  let told = await counts();
  await until(async () => {
    told = await counts();
    return told.isAll && told.unended === 0;
  }, SLOW_MS).catch(() => {});
  const { unended, doubled, lostUnarchived } = told;
  return { unended, doubled, lostUnarchived };
}

/** One address, behind which the server changes. */
export async function openAddress(target: number) {
  let port = target;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(server).pipe(client);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    turnTo(other: number) {
      port = other;
      for (const socket of [...sockets]) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets]) socket.destroy();
      listener.close();
    },
  };
}

async function connectTo(server: Server, stack: AsyncDisposableStack): Promise<Redis> {
  const redis = new Redis(server.url, { protocol: 2, maxRetriesPerRequest: null });
  redis.on("error", () => {}); // it is killed on purpose
  stack.defer(() => redis.disconnect());
  await redis.ping();
  return redis;
}

async function until(check: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await delay(20))
    if (await check()) return;
  throw new Error(`still not so after ${timeoutMs} ms: ${check}`);
}
