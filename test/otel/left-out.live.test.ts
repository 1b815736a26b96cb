import assert from "node:assert/strict";
import { test } from "node:test";
import { context, trace } from "@opentelemetry/api";
import { createBroker, createProjector, createWorker } from "tasktrail";
import { z } from "zod";
import { startTelemetry } from "../../otel/bootstrap.ts";
import { openPool } from "../../sql/pool.ts";
import { statement } from "../../sql/statement.ts";
import { listDead, redrive } from "../../src/deliver/dead-letters.ts";
import { engineOf } from "../../src/engine.ts";
import { laneKeys } from "../../streams/keys.ts";
import { toLedgerEntry } from "../../streams/ledger.ts";
import { idsOfAttempt, idsOfDispatch } from "../../streams/trace-ids.ts";
import { openLedger } from "../support/ledger.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";

test("what sampling leaves out is written as what it follows from, and read, logged and active under the ids that it has when it is rebuilt", async (t) => {
  const [redis, namespace, database] = [await testRedis(), testNamespace(), await testDatabase()];
  Object.assign(process.env, { OTEL_TRACES_EXPORTER: "console", OTEL_TRACES_SAMPLER: "always_off" });
  await using _telemetry = await startTelemetry();
  await using broker = createBroker({ redis, namespace, database });
  const active: Record<string, (string | undefined)[]> = {};
  const note = (id: string, ...more: (string | undefined)[]) => {
    active[id] = [...(active[id] ?? []), trace.getSpanContext(context.active())?.traceId, ...more];
  };
  const child = broker.task({ name: "child", run: (_input, _deps, { id }) => note(id) });
  const parent = broker.task({
    name: "parent",
    input: z.object({ n: z.int() }),
    retry: { attempts: 2, delay: "10ms" },
    async run({ n }, _deps, { id, attempt, traceId }) {
      note(id, traceId);
      if (n < 0 || (attempt === 1 && n === 1)) throw new Error("it fails");
      if (n === 1) await child.kiq();
    },
  });
  const one = await parent.kiq({ n: 1 });
  const doomed = await parent.kiq({ n: -1 });
  const many = await parent.kiqMany([{ n: 2 }, { n: 3 }]);
  await using ledger = await openLedger(redis, namespace);
  const engine = engineOf(broker);
  const lane = await engine.lane("default");
  const keys = laneKeys(namespace, "default");
  const entries = JSON.stringify(await lane.redis.xrange(keys.tasks, "-", "+"));
  assert.equal(entries.split('\\"traceparent\\":\\"0\\"').length, 3); // those of many are below a dispatch that is not their own

  await using worker = createWorker(broker);
  void worker.run();
  await ledger.ended([one.id, doomed.id, ...many.map(({ id }) => id)]);
  await ledger.waitFor((all) => all.some((event) => event.type === "run.succeeded" && event.task === "child"));
  const [dead] = await listDead(lane.redis, namespace, { queue: "default" });
  assert.ok(dead !== undefined);
  const redriven = await redrive(lane, dead);
  await ledger.ended([redriven.run]);

  const events = await ledger.events();
  const of = (run: string) =>
    events.flatMap((event) =>
      "run" in event && event.run === run && event.type !== "run.redriven" ? [`${event.type} ${event.traceId}`] : [],
    );
  const second = (run: string) => idsOfAttempt({ run, attempt: 2, delivery: 1 }).traceId;
  const first = idsOfDispatch(one.id).traceId;
  assert.deepEqual(of(one.id), [
    `run.enqueued ${first}`,
    `run.started ${first}`,
    `run.failed ${first}`,
    `run.due ${first}`,
    `run.started ${second(one.id)}`,
    `run.succeeded ${second(one.id)}`,
  ]);
  assert.deepEqual(active[one.id], [first, first, second(one.id), second(one.id)]);
  const own = idsOfAttempt({ run: many[0]?.id ?? "", attempt: 1, delivery: 1 }).traceId;
  assert.deepEqual(of(many[0]?.id ?? ""), [
    `run.enqueued ${idsOfDispatch(many[0]?.id ?? "").traceId}`,
    `run.started ${own}`,
    `run.succeeded ${own}`,
  ]);
  assert.equal(of(many[1]?.id ?? "")[0], `run.enqueued ${idsOfDispatch(many[0]?.id ?? "").traceId}`);
  const ofChild = events.find((event) => event.type === "run.enqueued" && event.task === "child");
  assert.equal(ofChild?.traceId, second(one.id));
  assert.equal(of(redriven.run)[0], `run.enqueued ${idsOfDispatch(doomed.id).traceId}`);
  const batches = (await lane.redis.xrange(keys.events, "-", "+")).map(toLedgerEntry);
  const written = batches.flatMap(({ header, events: texts }) =>
    (JSON.parse(texts) as object[]).map((event): { type?: string; traceparent?: string } => ({
      ...JSON.parse(header).d,
      ...event,
    })),
  );
  for (const type of ["run.started", "run.succeeded"]) {
    const ofType = written.filter((event) => event.type === type);
    assert.equal(ofType.filter(({ traceparent }) => traceparent?.startsWith("00-")).length, 1, type); // that of the child
  }

  await using projector = createProjector(broker);
  void projector.run();
  const pool = await openPool(database);
  t.after(() => pool.end());
  const told = async () =>
    (await pool.any(statement("select run, type, trace_id from ledger_events order by ms, seq, index", []))) as {
      run: string | null;
      type: string;
      trace_id: string | null;
    }[];
  await eventually(async () => (await told().catch(() => [])).length >= events.length);
  for (const event of events)
    assert.ok(
      (await told()).some(
        ({ run, type, trace_id }) =>
          type === event.type && run === ("run" in event ? event.run : null) && trace_id === (event.traceId ?? null),
      ),
      JSON.stringify(event),
    );
  await Promise.all([worker.stop(), projector.stop()]);
});
