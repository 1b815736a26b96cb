import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { RebuiltSpan } from "../../otel/rebuilt-span.ts";
import { sendRebuilt } from "../../otel/send-rebuilt.ts";
import { ended, startTasktrail, tasktrail } from "../src/cli/tasktrail.ts";
import { startReceiver } from "./receiver.ts";
import { setScene } from "./scene.ts";

test("a replay can be of a task or of a run, and knows runs that were dispatched before it begins", async () => {
  await using scene = await setScene({});
  const kiq = (...args: string[]) => tasktrail(["kiq", scene.application, ...args], scene);
  const early = await kiq("send_receipt", '{"order":1}');
  assert.equal(early.code, 0, early.err);
  const worker = await scene.role("worker", "untraced");
  const done = await scene.ledger.waitFor((events) => events.find((one) => one.type === "run.succeeded"), 60_000);
  const started = (await scene.ledger.events()).find((one) => one.type === "run.started");
  const late = await kiq("settle_account");
  assert.equal(late.code, 0, late.err);
  await scene.ledger.waitFor((events) => events.filter((one) => one.type === "run.started")[1], 60_000);
  await worker.stop("SIGKILL");

  const { DATABASE_URL: _database, ...env } = scene.env;
  const replay = async (...args: string[]) => {
    const { code, out, err } = await tasktrail(["replay", "traces", "--json", ...args], { env });
    assert.equal(code, 0, err);
    return out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as RebuiltSpan);
  };
  const names = (spans: readonly RebuiltSpan[]) =>
    spans.map(({ name, attributes }) => `${name} ${attributes["tasktrail.task.name"]}`);
  assert.deepEqual(names(await replay("--from", "10m")), [
    "enqueue default send_receipt",
    "process default send_receipt",
    "enqueue default settle_account",
  ]);
  assert.deepEqual(names(await replay("--from", "10m", "--task", "settle_account")), [
    "enqueue default settle_account",
  ]);
  const whole = await replay("--run", done.run);
  assert.deepEqual(names(whole), ["enqueue default send_receipt", "process default send_receipt"]);
  const at = new Date(started?.at ?? 0).toISOString();
  const [attempt] = await replay("--from", at, "--task", "send_receipt");
  assert.deepEqual([attempt?.spanId, attempt?.parentSpanId], [whole[1]?.spanId, whole[0]?.spanId]);
  assert.deepEqual(names(await replay("--from", "10m", "--until", at)), ["enqueue default send_receipt"]);
  const nothing = await tasktrail(["replay", "traces", "--json"], { env });
  assert.match(nothing.err, /From when on\?/);
});

test("what is recorded is sent as it is recorded, and a collector that was down gets what it missed, once", async () => {
  await using scene = await setScene({});
  assert.equal((await tasktrail(["migrate"], scene)).code, 0);
  const worker = await scene.role("worker", "untraced");
  const dispatch = async (order: number) => {
    const { out } = await tasktrail(["kiq", scene.application, "send_receipt", `{"order":${order}}`, "--json"], scene);
    const { run } = JSON.parse(out) as { readonly run: string };
    await scene.ledger.waitFor((events) =>
      events.some((one) => one.type === "run.succeeded" && "run" in one && one.run === run),
    );
    return run;
  };
  const runsOf = (spans: readonly { readonly attributes: Readonly<Record<string, unknown>> }[]) =>
    new Set(spans.map(({ attributes }) => attributes["tasktrail.run.id"]));
  const first = await dispatch(1);
  const before = await startReceiver();
  const follow = () =>
    startTasktrail(["replay", "traces", "--follow", "--from", "10m"], { env: { ...scene.env, ...before.env } });
  const following = follow();
  await before.waitFor((spans) => spans.length === 2 && runsOf(spans).has(first));
  const other = await tasktrail(["replay", "traces", "--follow"], { env: { ...scene.env, ...before.env } });
  assert.equal(other.code, 1);
  assert.match(other.err, /Another replay of traces is under way/);

  await before[Symbol.asyncDispose]();
  const second = await dispatch(2);
  following.kill("SIGKILL");
  await ended(following);
  await using after = await startReceiver(Number(new URL(before.url).port));
  const again = follow();
  await after.waitFor((spans) => spans.length === 2);
  const third = await dispatch(3);
  await after.waitFor((spans) => spans.length === 4);
  assert.deepEqual(runsOf(after.spans), new Set([second, third]));
  again.kill("SIGTERM");
  assert.equal((await ended(again)).code, 0);
  await worker.stop();
});

test("a collector that has no time is asked again, and one that refuses is not", async () => {
  const answers = [503, 429, 200, 400];
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.writeHead(answers[asked++] ?? 500).end("no"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
  await sendRebuilt([], endpoint, {});
  assert.equal(asked, 3);
  await assert.rejects(sendRebuilt([], endpoint, {}), /said 400: no/);
  assert.equal(asked, 4);
  server.closeAllConnections();
  server.close();
});
