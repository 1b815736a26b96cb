import { Redis } from "ioredis";
import pg from "pg";
import { createPool, sql } from "slonik";
import { createBroker, createRelay, createWorker, type SqlSession } from "tasktrail";
import { getDbSession } from "tasktrail/deps";
import { z } from "zod";
import { migrate } from "../../../sql/migrate.ts";
import { laneKeys } from "../../../streams/keys.ts";
import type { Bench, Figures, StepDesk } from "../bench.ts";
import { NAMESPACE, quiet } from "../contenders/tasktrail.ts";

const input = z.object({ order: z.int(), note: z.string() });
/** How long a busy machine may take to connect, in ms. */
const PATIENCE_MS = 60_000;
const NOTE = "an order of the usual size, with a line or two of text";

/** What a dispatch in a transaction costs, how fast rows are relayed, how soon runs start after a commit, and what an inbox costs. */
export const outboxBenches: readonly Bench[] = [
  {
    name: "outbox-cost",
    what: "transactions of one insert, 10 under way: alone, with a dispatch after the commit, and with one in the session",
    contenders: ["alone", "kiq after it", "kiq in it"],
    figures: [
      { name: "rate", unit: "transactions/s", better: "higher" },
      { name: "p50", unit: "ms each", better: "lower" },
      { name: "p99", unit: "ms each", better: "lower" },
    ],
    needs: "postgres",
    steps: { transact },
    play: (_setting, start) => start("transact").figures,
  },
  {
    name: "outbox-relay",
    what: "relaying what lies in the outbox",
    contenders: ["Tasktrail"],
    figures: [{ name: "rate", unit: "rows/s", better: "higher" }],
    needs: "postgres",
    steps: { relayAll },
    play: (_setting, start) => start("relayAll").figures,
  },
  {
    name: "outbox-latency",
    what: "from a commit to the start of its run, 50 a second: a commit that can be seen, and one that cannot",
    contenders: ["slonik", "pg"],
    figures: [
      { name: "p50", unit: "ms", better: "lower" },
      { name: "p99", unit: "ms", better: "lower" },
    ],
    needs: "postgres",
    steps: { follow },
    play: (_setting, start) => start("follow").figures,
  },
  {
    name: "outbox-inbox",
    what: "runs that insert a row in their session, at concurrency 10: without and with an inbox",
    contenders: ["without", "with"],
    figures: [{ name: "rate", unit: "runs/s", better: "higher" }],
    needs: "postgres",
    steps: { work },
    play: (_setting, start) => start("work").figures,
  },
];

/** The tables, a broker and its task, and pools that end with the step. */
async function openShop({ setting }: StepDesk) {
  await using opened = new AsyncDisposableStack();
  const database = setting.database as string;
  const slonik = opened.adopt(await createPool(database, { connectionTimeout: PATIENCE_MS }), (one) => one.end());
  await migrate(slonik);
  const pool = opened.adopt(new pg.Pool({ connectionString: database, max: 10 }), (one) => one.end());
  await pool.query("create table if not exists orders (n bigint generated always as identity, note text)");
  const broker = opened.use(createBroker({ redis: setting.redis, database, namespace: NAMESPACE, logger: quiet }));
  const started = new Map<number, (at: number) => void>();
  const confirm = broker.task({
    name: "confirm",
    input,
    run: ({ order }) => started.get(order)?.(performance.now()),
  });
  const stack = opened.move();
  return {
    slonik,
    pool,
    broker,
    confirm,
    /** When the run of an order starts. */
    start: (order: number) => new Promise<number>((resolve) => void started.set(order, resolve)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function transact(desk: StepDesk): Promise<Figures> {
  await using shop = await openShop(desk);
  const { contender, scale } = desk.setting;
  const times: number[] = [];
  const one = async (order: number) => {
    const begun = performance.now();
    const client = await shop.pool.connect();
    await client.query("begin");
    await client.query("insert into orders (note) values ($1)", [NOTE]);
    if (contender === "kiq in it") await shop.confirm.with({ session: client }).kiq({ order, note: NOTE });
    await client.query("commit");
    client.release();
    if (contender === "kiq after it") await shop.confirm.kiq({ order, note: NOTE });
    times.push(performance.now() - begun);
  };
  const all = async (count: number) => {
    let left = count;
    const carryOn = async () => {
      for (; left > 0; ) {
        left -= 1;
        await one(left);
      }
    };
    await Promise.all(Array.from({ length: 10 }, carryOn));
  };
  await all(200); // warms up
  times.length = 0;
  const begun = performance.now();
  await all(Math.ceil(3_000 * scale));
  const rate = (times.length / (performance.now() - begun)) * 1_000;
  return { rate, ...percentiles(times) };
}

async function relayAll(desk: StepDesk): Promise<Figures> {
  await using shop = await openShop(desk);
  const count = Math.ceil(40_000 * desk.setting.scale);
  const each = 1_000;
  for (let order = 0; order < count; order += each) {
    const inputs = Array.from({ length: Math.min(each, count - order) }, (_, i) => ({ order: order + i, note: NOTE }));
    await shop.slonik.transaction(async (session) => shop.confirm.with({ session }).kiqMany(inputs));
  }
  const redis = new Redis(desk.setting.redis, { protocol: 2 });
  const { tasks } = laneKeys(NAMESPACE, "default");
  const relay = createRelay(shop.broker);
  const running = relay.run();
  while ((await redis.xlen(tasks)) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const first = await redis.xlen(tasks);
  const begun = performance.now();
  while ((await redis.xlen(tasks)) < count) await new Promise((resolve) => setTimeout(resolve, 5));
  const rate = ((count - first) / (performance.now() - begun)) * 1_000;
  await relay.stop();
  await running;
  redis.disconnect();
  return { rate };
}

async function follow(desk: StepDesk): Promise<Figures> {
  await using shop = await openShop(desk);
  const roles = [createWorker(shop.broker), createRelay(shop.broker)];
  const running = roles.map((role) => role.run());
  while (!roles.every((role) => role.health().isReady)) await new Promise((resolve) => setTimeout(resolve, 10));
  const dispatch = (session: SqlSession, order: number) => shop.confirm.with({ session }).kiq({ order, note: NOTE });
  const commit = async (order: number) => {
    if (desk.setting.contender === "slonik") {
      await shop.slonik.transaction(async (session) => {
        await session.query(sql.unsafe`insert into orders (note) values (${NOTE})`);
        await dispatch(session, order);
      });
    } else {
      const client = await shop.pool.connect();
      await client.query("begin");
      await client.query("insert into orders (note) values ($1)", [NOTE]);
      await dispatch(client, order);
      await client.query("commit");
      client.release();
    }
    return performance.now();
  };
  const times: number[] = [];
  const waiting: Promise<void>[] = [];
  const warm = 20;
  for (let order = 0; order < warm + Math.ceil(400 * desk.setting.scale); order += 1) {
    const starting = shop.start(order);
    const committed = await commit(order);
    waiting.push(
      starting.then((at) => {
        if (order >= warm) times.push(Math.max(0, at - committed));
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await Promise.all(waiting);
  await Promise.all(roles.map((role) => role.stop()));
  await Promise.all(running);
  return percentiles(times);
}

async function work(desk: StepDesk): Promise<Figures> {
  await using shop = await openShop(desk);
  let left = Math.ceil(3_000 * desk.setting.scale);
  const count = left;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const order = shop.broker.task({
    name: "order",
    deps: { db: getDbSession },
    ...(desk.setting.contender === "with" ? { inbox: getDbSession } : {}),
    async run(_, { db }, run) {
      await db.query(sql.unsafe`insert into orders (note) values (${NOTE})`);
      run.onCommit(() => {
        left -= 1;
        if (left === 0) resolve();
      });
    },
  });
  await order.kiqMany(Array.from({ length: count }, () => undefined));
  const worker = createWorker(shop.broker, { concurrency: 10 });
  const begun = performance.now();
  const running = worker.run();
  await done;
  const rate = (count / (performance.now() - begun)) * 1_000;
  await worker.stop();
  await running;
  return { rate };
}

function percentiles(times: number[]): { readonly p50: number; readonly p99: number } {
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
  return { p50: at(0.5), p99: at(0.99) };
}
