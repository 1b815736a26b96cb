import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Server } from "../../../src/dev/server.ts";
import type { LedgerEvent } from "../../../streams/events.ts";
import { derivedId } from "../../../streams/ids.ts";
import { topicKey } from "../../../streams/keys.ts";
import type { Actor } from "../cast.ts";
import { openJournal, readJournal } from "../journal.ts";
import { readLedger } from "../oracle.ts";
import { FATES } from "../programs/fates.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";
import { killedAt, pointsOf } from "./steps.ts";

const CONCURRENCY = 50;

/** Everything that a dispatch in a transaction passes through is killed, in an order that the seed decides. */
export const outboxChaos: Scenario = {
  name: "outbox",
  what: "transactions commit and roll back while application, relays, Redis and Postgres are killed with -9 in turn: dispatched equals committed, each once",
  sizes: { ladder: 10_000, small: 450 },
  isLong: true,
  allowedDuplicates: (size) => size,
  redis: { durable: true },
  hasPostgres: true,
  async play(stage) {
    await prepare(stage);
    await stage.workers(1, { concurrency: CONCURRENCY, maxDeliveries: 1_000 });
    const relays = [stage.cast.start("projector", {}), stage.cast.start("relay", {})];
    await Promise.all(relays.map((relay) => relay.says("ready")));
    const done = new AbortController();
    const counts: Counts = {};
    const harming = harm(stage, relays, counts, done.signal);
    await transactions(stage, counts).finally(() => done.abort());
    await harming;
    stage.remark(toRemark(counts));
    await settle(stage);
  },
  check: dispatchedEqualsCommitted,
};

/** The relay is killed at each of its steps: before and after everything that it asks of Redis and Postgres. */
export const relaySteps: Scenario = {
  name: "relay-steps",
  what: "relays are killed with -9 before and after each of the first requests that they send to Redis and Postgres",
  sizes: { ladder: 320, small: 160 },
  isLong: true,
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    await prepare(stage);
    await stage.workers(1, { concurrency: CONCURRENCY });
    for (const point of pointsOf(Math.floor(stage.size / 16))) {
      const feeding = apply(stage, { count: 8, inFlight: 2, pauseMs: 0 });
      await killedAt(stage, point, { program: "relay" });
      await feeding.ended;
    }
    await stage.cast.start("projector", {}).says("ready");
    await settle(stage);
  },
  check: dispatchedEqualsCommitted,
};

/** A relay that turns events into runs is killed at each of its steps. */
export const topicSteps: Scenario = {
  name: "topic-steps",
  what: "relays that turn events into runs are killed with -9 before and after each of the first requests that they send",
  sizes: { ladder: 1_600, small: 240 },
  isLong: true,
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    await prepare(stage);
    await stage.workers(1, { concurrency: CONCURRENCY });
    const { redis, namespace, journals } = stage;
    using told = openJournal(journals.told);
    let n = 0;
    const publish = async () => {
      const event = { specversion: "1.0", id: `e${n}`, source: "/crash", type: "happened", data: { n } };
      await redis.xadd(topicKey(namespace, "happened"), "*", "event", JSON.stringify(event));
      told.append([derivedId("subscription", namespace, "happened", "work", "0", event.id), n]);
      n += 1;
    };
    for (const point of pointsOf(Math.floor(stage.size / 16))) {
      for (let i = 0; i < 8; i += 1) await publish();
      await killedAt(stage, point, { program: "relay" });
    }
    await told.sync();
    await stage.cast.start("relay", {}).says("ready");
    await stage.projector();
    await stage.endings(n, 300_000);
  },
  async check({ redis, namespace, queue }) {
    const runs: string[] = [];
    for await (const event of readLedger(redis, namespace, queue))
      if (event.type === "run.enqueued") runs.push((event as LedgerEvent<"run.enqueued">).run);
    return runs.length === new Set(runs).size ? [] : ["an event became two runs"];
  },
};

/** Makes the tables before anybody is killed: the application's, and ours. */
async function prepare(stage: Stage): Promise<void> {
  await ask(stage, "create table orders (run uuid primary key)");
  const first = stage.cast.start("projector", {});
  await first.says("ready");
  while (
    (await ask<{ there: boolean }>(stage, "select to_regclass('tasktrail_outbox') is not null as there"))[0]?.there !==
    true
  )
    await delay(50);
  await first.kill();
}

function apply(
  stage: Stage,
  order: { readonly count: number; readonly inFlight: number; readonly pauseMs: number; readonly fates?: string },
): Actor {
  const whole = { ...order, seed: stage.random.between(1, 1_000_000) };
  return stage.cast.start("application", { CRASH_ORDER: JSON.stringify(whole) });
}

/** How transactions ended, as far as their application has lived to tell; and which things were killed how often. */
type Counts = Record<string, number>;

/** Applications that make transactions side by side, and how many transactions of each are on their way at once. */
const APPLICATIONS = 2;
const IN_FLIGHT = 20;

/** Has applications make transactions until so many have ended one way or another, a third of the applications killed in the middle of it. */
async function transactions(stage: Stage, counts: Counts): Promise<void> {
  const { size, random } = stage;
  const share = Math.max(150, Math.ceil(size / 100)); // to start a process takes as long as hundreds of transactions
  let applicationCount = 0;
  const made = () => FATES.reduce((sum, fate) => sum + (counts[fate] ?? 0), 0);
  const side = async () => {
    while (made() < size) {
      applicationCount += 1;
      const fates = `${stage.journals.told}-of-application-${applicationCount}`;
      const pauseMs = size < 1_000 ? 40 : 0; // so that a small number meets a few faults, too
      const application = apply(stage, { count: share, inFlight: IN_FLIGHT, pauseMs, fates });
      await application.says("ready");
      if (random.between(0, 3) < 1) await Promise.race([application.ended, delay(random.between(20, 2_000))]);
      else await application.ended;
      if (application.isAlive()) {
        await application.kill();
        count(counts, "application");
      }
      for await (const [fate = ""] of readJournal(fates)) count(counts, fate);
    }
  };
  await Promise.all(Array.from({ length: APPLICATIONS }, side));
}

function count(counts: Counts, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

/** What is killed besides applications; the first two are relays, the others servers. */
const HARMED = ["projector", "relay", "Redis", "Postgres"] as const;

/** Kills something every now and then, and brings it back; many transactions have a little more peace in between. */
async function harm(stage: Stage, relays: Actor[], counts: Counts, signal: AbortSignal): Promise<void> {
  const [least, most] = stage.size < 50_000 ? [300, 1_200] : [500, 3_500];
  while (!signal.aborted) {
    await delay(stage.random.between(least, most));
    const which = stage.random.between(0, HARMED.length);
    const what = HARMED[which] as (typeof HARMED)[number];
    count(counts, what);
    if (what === "Redis" || what === "Postgres") {
      const server = what === "Redis" ? stage.server : (stage.postgres as Server);
      await server.kill();
      await delay(stage.random.between(50, 1_000));
      await server.restart();
      continue;
    }
    await relays[which]?.kill();
    relays[which] = stage.cast.start(what, {});
    await relays[which]?.says("ready");
  }
}

/** What was done, for whoever reads the verdict. */
function toRemark(counts: Counts): string {
  const list = (names: readonly string[]) =>
    names.map((name) => `${name.replace("_", " ")} ${counts[name] ?? 0}`).join(", ");
  return `transactions ${list(FATES)}; killed ${list(["application", ...HARMED])}`;
}

/** Waits until everything that committed has ended, and tells the oracle what that is. */
async function settle(stage: Stage): Promise<void> {
  const committed = await ask<{ run: string }>(stage, "select run from orders");
  using told = openJournal(stage.journals.told);
  for (const { run } of committed) told.append([run, 0]);
  await told.sync();
  await stage.endings(committed.length, 300_000);
}

/** The two sets are one, nothing is in the ledger twice, and nothing is left in the outbox once the archive has it. */
async function dispatchedEqualsCommitted(stage: Stage): Promise<string[]> {
  const committed = new Set((await ask<{ run: string }>(stage, "select run from orders")).map(({ run }) => run));
  const enqueued: string[] = [];
  for await (const event of readLedger(stage.redis, stage.namespace, stage.queue))
    if (event.type === "run.enqueued") enqueued.push((event as LedgerEvent<"run.enqueued">).run);
  const dispatched = new Set(enqueued);
  const missing = [...committed].filter((run) => !dispatched.has(run)).length;
  const invented = [...dispatched].filter((run) => !committed.has(run)).length;
  const rows = Number((await ask<{ n: string }>(stage, "select count(*) as n from tasktrail_outbox"))[0]?.n);
  return [
    ...(committed.size === 0 ? ["nothing was committed"] : []),
    ...(missing > 0 ? [`${missing} of ${committed.size} committed runs were not dispatched`] : []),
    ...(invented > 0 ? [`${invented} runs were dispatched that no transaction had committed`] : []),
    ...(enqueued.length > dispatched.size ? [`${enqueued.length - dispatched.size} runs were dispatched twice`] : []),
    ...(rows > 0 ? [`${rows} rows are left in the outbox`] : []),
  ];
}

async function ask<Row extends pg.QueryResultRow>(stage: Stage, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: stage.postgres?.url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
