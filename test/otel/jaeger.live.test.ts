import assert from "node:assert/strict";
import { test } from "node:test";
import { tasktrail } from "../src/cli/tasktrail.ts";
import { eventually } from "../support/servers.ts";
import { openJaeger } from "./jaeger.ts";
import type { ReceivedSpan } from "./receiver.ts";
import { setScene } from "./scene.ts";
import { waterfall } from "./waterfall.ts";

const isAsked = Boolean(process.env.JAEGER_BIN || process.env.JAEGER_URL);
const skip = isAsked ? false : "JAEGER_BIN is not set: see CONTRIBUTING.md";

test("a real Jaeger shows the traces of a request, its retries, its child and a cron run", { skip }, async (t) => {
  await using jaeger = (await openJaeger()) as NonNullable<Awaited<ReturnType<typeof openJaeger>>>;
  await using scene = await setScene({
    OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlp,
    OTEL_METRICS_EXPORTER: "none",
    OTEL_BSP_SCHEDULE_DELAY: "100",
  });
  const { ledger } = scene;
  const front = await scene.front();
  const unlucky = await scene.role("worker", "worker-a");
  const run = await (await fetch(`${front.url}/orders`)).text();
  await ledger.waitFor((events) => events.some((one) => one.type === "run.failed" && one.attempt === 2), 60_000);
  await unlucky.stop();
  const lucky = await scene.role("start", "worker-b");
  const isDone = (task: string) =>
    ledger.waitFor((events) => events.find((one) => one.type === "run.succeeded" && one.task === task), 90_000);
  const receipt = await isDone("send_receipt");
  const cron = await isDone("close_day");
  await Promise.all([lucky.stop(), front.stop()]);

  const starts = (await ledger.events()).filter((one) => one.type === "run.started" && one.run === run);
  const ids = [...starts, receipt, cron].map(({ traceId }) => traceId as string);
  const traces = await Promise.all(ids.map((id) => eventually(() => settled(jaeger.trace(id)), { timeoutMs: 20_000 })));
  const [first, second, third, child, fired] = traces as [Trace, Trace, Trace, Trace, Trace];
  t.diagnostic(`\n${waterfall([...first, ...second, ...third])}\n\n${waterfall(fired)}`);

  const request = byName(first, "POST /orders");
  const dispatch = byName(first, "enqueue default");
  const attempts = [first, second, third].map((trace) => byName(trace, "process default", "book_order"));
  assert.equal(dispatch.parentSpanId, request.spanId);
  assert.equal(attempts[0]?.parentSpanId, dispatch.spanId);
  assert.deepEqual(
    attempts.map((span) => span.status),
    [2, 2, 0],
  );
  assert.deepEqual(
    attempts.map((span) => span.service),
    ["worker-a", "worker-a", "worker-b"],
  );
  assert.deepEqual(attempts.map(relations), [
    [],
    [`dispatch ${dispatch.spanId}`, `previous attempt ${attempts[0]?.spanId}`],
    [`dispatch ${dispatch.spanId}`, `previous attempt ${attempts[1]?.spanId}`],
  ]);
  assert.match(JSON.stringify(attempts[0]?.events), /RangeError.*no stock at attempt 1.*orders\.ts/);
  const below = byName(child, "enqueue default");
  assert.equal(below.parentSpanId, attempts[2]?.spanId);
  assert.equal(byName(child, "process default", "send_receipt").parentSpanId, below.spanId);
  const [link] = byName(fired, "process default", "close_day").links;
  const slot = await eventually(() => settled(jaeger.trace(link?.traceId as string)));
  assert.equal(byName(slot, "cron fire close_day").spanId, link?.spanId);
  const services = await jaeger.services();
  for (const name of ["shop-front", "worker-a", "worker-b"]) assert.ok(services.includes(name), name);
});

test("a Jaeger that was down is given the traces afterwards, from the ledger", { skip }, async () => {
  await using scene = await setScene({ OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" });
  const worker = await scene.role("worker", "untraced");
  const dispatched = await tasktrail(["kiq", scene.application, "send_receipt", '{"order":1}', "--wait"], scene);
  assert.equal(dispatched.code, 0, dispatched.err);
  await worker.stop();
  await using jaeger = (await openJaeger()) as NonNullable<Awaited<ReturnType<typeof openJaeger>>>;
  const { DATABASE_URL: _database, ...rest } = scene.env;
  const env = { ...rest, OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlp, OTEL_SERVICE_NAME: "replayed" };
  const shown = await tasktrail(["replay", "traces", "--from", "10m", "--json"], { env });
  const { traceId } = JSON.parse(shown.out.split("\n")[0] as string) as { traceId: string };
  const replayed = await tasktrail(["replay", "traces", "--from", "10m"], { env });
  assert.deepEqual([replayed.code, replayed.err], [0, `2 spans sent to ${jaeger.otlp}/v1/traces.\n`]);
  const trace = await eventually(() => settled(jaeger.trace(traceId)));
  const [dispatch, attempt] = [byName(trace, "enqueue default"), byName(trace, "process default")];
  assert.deepEqual([attempt.parentSpanId, attempt.service], [dispatch.spanId, "replayed"]);
});

type Trace = readonly ReceivedSpan[];

const relations = (span: ReceivedSpan) => span.links.map(({ relation, spanId }) => `${relation} ${spanId}`);

async function settled(asked: Promise<Trace>): Promise<Trace | undefined> {
  const trace = await asked;
  return trace.length > 0 ? trace : undefined;
}

function byName(trace: Trace, name: string, task?: string): ReceivedSpan {
  const found = trace.find(
    (one) =>
      one.name === name && (task ?? one.attributes["tasktrail.task.name"]) === one.attributes["tasktrail.task.name"],
  );
  assert.ok(found, `no span ${name} ${task ?? ""} in:\n${trace.map((one) => one.name).join("\n")}`);
  return found;
}
