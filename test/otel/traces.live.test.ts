import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { idsOfAttempt } from "../../streams/trace-ids.ts";
import { tasktrail } from "../src/cli/tasktrail.ts";
import { type ReceivedLog, type ReceivedSpan, startReceiver } from "./receiver.ts";
import { setScene } from "./scene.ts";

const PRODUCER = 4;
const CONSUMER = 5;
const ERROR = 2;

const isRun = (span: ReceivedSpan, task: string) => span.attributes["tasktrail.task.name"] === task;
const processOf = (spans: readonly ReceivedSpan[], task: string, attempt = 1) =>
  spans.find((one) => one.kind === CONSUMER && isRun(one, task) && one.attributes["tasktrail.attempt"] === attempt);
const linksOf = (span: ReceivedSpan) => span.links.map(({ relation, spanId }) => `${relation} ${spanId}`);

test("a request, a task that fails twice and succeeds elsewhere, its child and a cron run are traces of the right shape", async () => {
  await using receiver = await startReceiver();
  await using scene = await setScene({ ...receiver.env, OTEL_LOGS_EXPORTER: "otlp" });
  const front = await scene.front();
  const unlucky = await scene.role("worker", "worker-a");
  const run = await (await fetch(`${front.url}/orders`)).text();
  await scene.ledger.waitFor((events) => events.some((one) => one.type === "run.failed" && one.attempt === 2), 60_000);
  assert.equal(await unlucky.stop(), 0);
  const lucky = await scene.role("start", "worker-b");
  const receipt = await receiver.waitFor((all) => processOf(all, "send_receipt"), 60_000);
  const spans = receiver.spans;

  const request = spans.find((one) => one.name === "POST /orders") as ReceivedSpan;
  const dispatch = spans.find((one) => one.kind === PRODUCER && isRun(one, "book_order")) as ReceivedSpan;
  const attempts = [1, 2, 3].map((attempt) => processOf(spans, "book_order", attempt) as ReceivedSpan);
  const [first, second, third] = attempts as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
  assert.deepEqual([request.service, dispatch.service], ["shop-front", "shop-front"]);
  assert.deepEqual([dispatch.name, first.name], ["enqueue default", "process default"]);
  assert.deepEqual([dispatch.parentSpanId, dispatch.traceId], [request.spanId, request.traceId]);
  assert.deepEqual([first.parentSpanId, first.traceId, first.links], [dispatch.spanId, request.traceId, []]);
  assert.deepEqual([second.parentSpanId, third.parentSpanId], [undefined, undefined]);
  assert.deepEqual(linksOf(second), [`dispatch ${dispatch.spanId}`, `previous attempt ${first.spanId}`]);
  assert.deepEqual(linksOf(third), [`dispatch ${dispatch.spanId}`, `previous attempt ${second.spanId}`]);
  assert.equal(new Set(attempts.map(({ traceId }) => traceId)).size, 3);
  assert.deepEqual(
    attempts.map(({ status }) => status),
    [ERROR, ERROR, 0],
  );
  assert.deepEqual(
    attempts.map(({ service }) => service),
    ["worker-a", "worker-a", "worker-b"],
  );
  assert.equal(first.attributes["error.type"], "RangeError");
  assert.match(String(first.events[0]?.attributes["exception.stacktrace"]), /no stock at attempt 1\n +at .*orders\.ts/);
  assert.deepEqual([third.attributes["tasktrail.run.id"], third.attributes["tasktrail.outcome"]], [run, "succeeded"]);
  assert.equal(third.attributes["tasktrail.input"], undefined);

  const child = spans.find((one) => one.kind === PRODUCER && isRun(one, "send_receipt")) as ReceivedSpan;
  assert.deepEqual([child.parentSpanId, child.traceId], [third.spanId, third.traceId]);
  assert.deepEqual([receipt.parentSpanId, receipt.traceId], [child.spanId, third.traceId]);
  assert.match(lucky.log(), new RegExp(`"trace_id":"${third.traceId}".*receipt sent`));

  const cron = await receiver.waitFor((all) => processOf(all, "close_day"), 70_000);
  const fire = spans.find((one) => one.name === "cron fire close_day") as ReceivedSpan;
  assert.deepEqual([fire.kind, fire.parentSpanId], [1, undefined]);
  assert.deepEqual([cron.parentSpanId, linksOf(cron)], [undefined, [`dispatch ${fire.spanId}`]]);
  assert.equal(cron.attributes["tasktrail.schedule"], "close_day");
  assert.match(String(cron.attributes["tasktrail.slot"]), /^20\d\d-.*:00\.000Z$/);
  assert.equal(cron.attributes["tasktrail.trigger"], "schedule");
  await receiver.waitFor((all) => all.find(({ name }) => name === "project default"));

  const byType = (await scene.ledger.events()).filter((one) => "run" in one && one.run === run);
  const traces = byType.map(({ type, traceId }) => `${type} ${traceId}`);
  assert.deepEqual(
    traces.filter((one) => !one.startsWith("run.due")),
    [
      `run.enqueued ${request.traceId}`,
      `run.started ${first.traceId}`,
      `run.failed ${first.traceId}`,
      `run.started ${second.traceId}`,
      `run.failed ${second.traceId}`,
      `run.started ${third.traceId}`,
      `run.succeeded ${third.traceId}`,
    ],
  );
  assert.equal(await lucky.stop(), 0);
  await front.stop();
  for (const name of METRICS_SEEN) assert.ok(receiver.metricNames.has(name), name);
  assertLogs(receiver.logs, { first, third: receipt });
  await assertRows(scene.env.DATABASE_URL as string, { run: request.traceId, cron: fire.traceId });
});

/** Lines of handlers and of the engine stand in the span that they tell of, though the engine tells afterwards. */
function assertLogs(
  logs: readonly ReceivedLog[],
  spans: { readonly first: ReceivedSpan; readonly third: ReceivedSpan },
) {
  const said = logs.find(({ body }) => body === "receipt sent");
  assert.deepEqual([said?.severity, said?.traceId, said?.spanId], ["INFO", spans.third.traceId, spans.third.spanId]);
  const { "tasktrail.task.name": task, "tasktrail.run.id": run, trace_id: spelt } = said?.attributes ?? {};
  assert.deepEqual([task, run, spelt], ["send_receipt", spans.third.attributes["tasktrail.run.id"], undefined]);
  const failed = logs.find(({ body }) => body === "attempt has failed");
  assert.deepEqual([failed?.severity, failed?.spanId, failed?.service], ["WARN", spans.first.spanId, "worker-a"]);
  assert.equal(failed?.attributes["exception.type"], "RangeError");
  assert.match(String(failed?.attributes["exception.stacktrace"]), /no stock at attempt 1\n +at .*orders\.ts/);
  assert.ok(logs.some(({ body, service }) => body === "worker has stopped" && service === "worker-b"));
}

const METRICS_SEEN = [
  "messaging.client.sent.messages",
  "messaging.process.duration",
  "tasktrail.queue.wait.duration",
  "tasktrail.cron.lateness",
  "tasktrail.projection.lag",
  "tasktrail.queue.backlog",
  "tasktrail.lease.left",
  "nodejs.eventloop.delay.p99",
  "otel.sdk.processor.span.processed",
];

async function assertRows(url: string, traces: { readonly run: string; readonly cron: string }): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const of = async (statement: string) => (await client.query(statement)).rows.map((row) => row.trace_id);
    assert.deepEqual(await of("select trace_id from task_runs where task_name = 'book_order'"), [traces.run]);
    assert.ok((await of("select trace_id from cron_job_runs")).includes(traces.cron));
  } finally {
    await client.end();
  }
}

test("a redelivered attempt links to that of the worker that was killed, and a replay sends the span that it could not", async () => {
  await using receiver = await startReceiver();
  await using scene = await setScene({ ...receiver.env, OTEL_METRICS_EXPORTER: "none" });
  const front = await scene.front();
  const doomed = await scene.role("worker", "doomed");
  const run = await (await fetch(`${front.url}/accounts`)).text();
  await scene.ledger.waitFor((events) => events.some((one) => one.type === "run.started" && one.run === run), 60_000);
  await doomed.stop("SIGKILL");
  const heir = await scene.role("worker", "heir");
  await scene.ledger.ended([run], 60_000);
  await Promise.all([heir.stop(), front.stop()]);
  const dispatch = receiver.spans.find((one) => one.kind === PRODUCER) as ReceivedSpan;
  const second = processOf(receiver.spans, "settle_account") as ReceivedSpan;
  const lost = idsOfAttempt({ run, attempt: 1, delivery: 1 });
  assert.equal(second.attributes["tasktrail.delivery"], 2);
  assert.deepEqual(linksOf(second), [`dispatch ${dispatch.spanId}`, `previous delivery ${lost.spanId}`]);
  assert.equal(second.links[1]?.traceId, dispatch.traceId);
  assert.ok(!receiver.spans.some(({ spanId }) => spanId === lost.spanId));

  const before = receiver.spans.length;
  const { DATABASE_URL: _database, ...env } = scene.env; // nobody has projected anything: Redis has it all
  const replayed = await tasktrail(["replay", "traces", "--from", "10m"], { env });
  assert.deepEqual([replayed.code, replayed.err], [0, `3 spans sent to ${receiver.url}/v1/traces.\n`]);
  const again = receiver.spans.slice(before);
  assert.deepEqual(new Set(again.map(({ spanId }) => spanId)), new Set([dispatch.spanId, lost.spanId, second.spanId]));
  const found = again.find(({ spanId }) => spanId === lost.spanId) as ReceivedSpan;
  assert.deepEqual([found.traceId, found.parentSpanId], [dispatch.traceId, dispatch.spanId]);
  assert.equal(found.attributes["tasktrail.outcome"], "interrupted");
  const kept = again.find(({ spanId }) => spanId === second.spanId) as ReceivedSpan;
  assert.deepEqual([kept.traceId, kept.name, kept.kind], [second.traceId, second.name, second.kind]);
  assert.ok(Math.abs(kept.startMs - second.startMs) < 1_000);
});
