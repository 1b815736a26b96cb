import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { getDbSession } from "../../../src/deps.ts";
import { createProjector } from "../../../src/projector.ts";
import { createRelay } from "../../../src/relay.ts";
import { createWorker } from "../../../src/worker.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "./stage.ts";

const declare = ({ broker }: Pick<Stage, "broker">) =>
  broker.task({ name: "note", input: z.object({ n: z.number() }), run: ({ n }) => n * 2 });

/** Dispatches in the session that is injected. */
const declareOuter = ({ broker }: Stage, note: ReturnType<typeof declare>) =>
  broker.task({
    name: "outer",
    input: z.object({ n: z.number(), fails: z.boolean() }),
    deps: { db: getDbSession },
    retry: { attempts: 1 },
    async run({ n, fails }, { db }) {
      const { id } = await note.with({ session: db }).kiq({ n });
      if (fails) throw rolledBack;
      return id;
    },
  });

const rolledBack = new Error("rolled back, as it was meant to");
const rowCount = async ({ pool }: Stage) =>
  Number(await pool.oneFirst(sql.unsafe`select count(*)::int from tasktrail_outbox`));

test("what commits is dispatched, whichever session wrote it, and its handle has been there from the beginning", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  stage.run(createRelay(stage.broker));
  stage.run(createWorker(stage.broker));
  const inSlonik = await stage.pool.transaction(async (session) => note.with({ session }).kiq({ n: 1 }));
  const client = await stage.client();
  await client.query("begin");
  const inPg = await note.with({ session: client }).kiq({ n: 2 });
  const inHandler = note.handle(await (await declareOuter(stage, note).kiq({ n: 5, fails: false })).result());
  await eventually(async () => (await inHandler.status()) === "succeeded");
  const many = await note.with({ session: (text, values) => client.query(text, values) }).kiqMany([{ n: 3 }, { n: 4 }]);
  assert.equal(await inPg.status(), "unknown");
  await client.query("commit");
  const results = await Promise.all([inSlonik, inPg, ...many, inHandler].map((handle) => handle.result()));
  assert.deepEqual(results, [2, 4, 6, 8, 10]);
  const [first] = await inPg.events();
  assert.equal(first?.type, "run.enqueued");
});

test("what rolls back never was", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  stage.run(createRelay(stage.broker));
  let lost: string | undefined;
  const failing = stage.pool.transaction(async (session) => {
    lost = (await note.with({ session }).kiq({ n: 1 })).id;
    await session.transaction(async (inner) => note.with({ session: inner }).kiq({ n: 2 }));
    throw rolledBack;
  });
  await assert.rejects(failing, rolledBack);
  await assert.rejects(declareOuter(stage, note).call({ n: 5, fails: true }), rolledBack);
  const kept = await stage.pool.transaction(async (session) => {
    const inner = session.transaction(async (savepoint) => {
      await note.with({ session: savepoint }).kiq({ n: 3 });
      throw rolledBack;
    });
    await assert.rejects(inner, rolledBack);
    return note.with({ session }).kiq({ n: 4 });
  });
  const events = await stage.ledger.waitFor((all) => all.some((event) => event.type === "outbox.relayed") && all);
  const enqueued = events
    .filter((event) => event.type === "run.enqueued")
    .map((event) => (event as { run: string }).run);
  assert.deepEqual(enqueued, [kept.id]);
  assert.notEqual(lost, kept.id);
});

test("delays, keys, labels and the rest travel with a row; a delay is counted from the dispatch", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  const at = Date.now();
  const options = {
    delay: "1h",
    labels: { tenant: "a" },
    timeout: "7s",
    expires: "2h",
    retry: { attempts: 9 },
  } as const;
  const same: string[] = [];
  const written = await stage.pool.transaction(async (session) => {
    for (let n = 0; n < 3; n += 1) same.push((await note.with({ session, key: "k" }).kiq({ n })).id);
    return note.with({ session, queue: "other", ...options }).kiq({ n: 2 });
  });
  stage.run(createRelay(stage.broker));
  const scheduled = await eventually(
    async () => (await written.status()) === "scheduled" && (await written.events())[0],
  );
  assert.ok(scheduled.type === "run.enqueued" && scheduled.dueAt !== undefined);
  assert.equal(scheduled.queue, "other");
  assert.deepEqual(scheduled.labels, { tenant: "a" });
  assert.ok(Math.abs(scheduled.dueAt - at - 3_600_000) < 60_000);
  const events = await stage.ledger.waitFor((all) => all.some((event) => event.type === "outbox.relayed") && all);
  assert.equal(events.filter((event) => event.type === "run.enqueued").length, 1);
  const [first, ...others] = same;
  assert.deepEqual(
    events.filter((event) => event.type === "run.joined").map(({ run, existing }) => [run, existing]),
    others.map((run) => [run, first]),
  );
});

test("a dispatch whose key another run has leads to that run, in this process and in another", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  const dispatch = (n: number, key: string) =>
    stage.pool.transaction(async (session) => note.with({ session, key, keyTtl: "1h" }).kiq({ n }));
  stage.run(createRelay(stage.broker));
  const first = await note.with({ key: "a" }).kiq({ n: 1 });
  const second = await dispatch(2, "a");
  const waiting = second.result();
  await eventually(async () => (await second.status()) === "waiting");
  assert.notEqual(second.id, first.id);
  assert.deepEqual(await second.events(), await first.events());
  stage.run(createWorker(stage.broker));
  assert.equal(await waiting, 2); // twice the first one's input
  const third = await dispatch(3, "a");
  assert.equal(await third.result(), 2); // it had ended long since
  const elsewhere = declare({ broker: stage.another() }).handle(third.id);
  assert.deepEqual([await elsewhere.status(), await elsewhere.result()], ["succeeded", 2]);
  const joined = (await stage.ledger.events()).filter((event) => event.type === "run.joined");
  assert.deepEqual(
    joined.map(({ run, existing }) => [run, existing]),
    [second, third].map(({ id }) => [id, first.id]),
  );
});

test("to cancel a dispatch that has joined a run cancels that run", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  stage.run(createRelay(stage.broker));
  const first = await note.with({ key: "a", delay: "1h" }).kiq({ n: 1 });
  const second = await stage.pool.transaction(async (session) => note.with({ session, key: "a" }).kiq({ n: 2 }));
  await eventually(async () => (await second.status()) === "scheduled");
  assert.equal(await second.cancel("no more"), true);
  assert.equal(await first.status(), "cancelled");
  await assert.rejects(second.result(), /no more/);
});

test("what committed before another transaction began comes first", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  const [slow, quick] = await Promise.all([stage.client(), stage.client()]);
  await slow.query("begin");
  const early = await note.with({ session: slow }).kiq({ n: 0 }); // has the lowest id, and commits last
  const order: string[] = [];
  stage.run(createRelay(stage.broker));
  for (let n = 1; n <= 20; n += 1) {
    await quick.query("begin");
    order.push((await note.with({ session: quick }).kiq({ n })).id);
    await quick.query("commit");
  }
  await slow.query("commit");
  const events = await stage.ledger.waitFor(
    (all) => all.filter((event) => event.type === "run.enqueued").length === 21 && all,
  );
  const runs = events.filter((event) => event.type === "run.enqueued").map((event) => (event as { run: string }).run);
  assert.deepEqual(
    runs.filter((run) => run !== early.id),
    order,
  );
});

test("a commit does not need Redis, and a row stays until the archive has its events", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  const away = (await import("../../../src/broker.ts")).createBroker({
    redis: "redis://127.0.0.1:1",
    database: stage.database,
    namespace: stage.namespace,
    logger: silent,
  });
  const cut = declare({ broker: away });
  const run = await stage.pool.transaction(async (session) => cut.with({ session }).kiq({ n: 1 }));
  const relay = createRelay(stage.broker);
  stage.run(relay);
  await stage.ledger.waitFor((all) => all.some((event) => event.type === "outbox.relayed"));
  assert.equal(await rowCount(stage), 1);
  stage.run(createProjector(stage.broker));
  await eventually(async () => (await rowCount(stage)) === 0);
  assert.equal(await note.handle(run.id).status(), "waiting");
  assert.equal(await stage.pool.oneFirst(sql.unsafe`select id from task_runs`), run.id);
});

test("a pool, and what is no session, is refused with a word on what to give", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  await assert.rejects(note.with({ session: stage.pool as never }).kiq({ n: 1 }), /this is a pool/);
  await assert.rejects(note.with({ session: 7 as never }).kiq({ n: 1 }), /no open transaction/);
  const empty = await stage.client();
  await empty.query("create schema elsewhere");
  await empty.query("set search_path = elsewhere");
  await assert.rejects(note.with({ session: empty }).kiq({ n: 1 }), /Run: tasktrail migrate/);
});

test("a row that nobody can read is parked and told of, and holds nothing up", async () => {
  await using stage = await openStage();
  const note = declare(stage);
  await stage.pool.query(sql.unsafe`
    insert into tasktrail_outbox (lane, item, record) values (${`${stage.namespace}:default`}, 'nonsense', '{"v":99}')`);
  const run = await stage.pool.transaction(async (session) => note.with({ session }).kiq({ n: 1 }));
  stage.run(createRelay(stage.broker));
  await eventually(async () => (await run.status()) === "waiting");
  const error = await stage.pool.oneFirst(sql.unsafe`select error from tasktrail_outbox where parked_at is not null`);
  assert.match(String(error), /not the id of a run/);
  assert.ok(stage.complaints.some(({ message }) => /it is parked/.test(message ?? "")));
});

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
