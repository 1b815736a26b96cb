import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { application } from "./application.ts";
import { ended, startTasktrail, tasktrail } from "./tasktrail.ts";

const cwd = application({
  "tasks.ts": `
    import { createBroker, cron } from TASKTRAIL;
    export const broker = createBroker();
    broker.task({ name: "a", async run() {} });
    cron(broker, "0 4 29 2 *", { name: "b", async run() {} });
  `,
});

/** Starts roles that serve their health at a free port, and says where. */
async function serve(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = startTasktrail(args, { cwd, env: { TASKTRAIL_NAMESPACE: testNamespace(), ...env } });
  let log = "";
  child.stderr?.on("data", (chunk) => (log += String(chunk)));
  const end = ended(child);
  const port = await eventually(() => /"port":(\d+),"msg":"health is served/.exec(log)?.[1], { timeoutMs: 30_000 });
  return { child, end, at: (path: string) => `http://127.0.0.1:${port}${path}` };
}

/** Waits until it answers so, and gives how long that took, in ms. */
async function turns(url: string, status: number): Promise<number> {
  const since = performance.now();
  await eventually(async () => (await fetch(url)).status === status, { timeoutMs: 30_000 });
  return performance.now() - since;
}

test("each role tells whether it lives and is ready: red when Redis goes away, green when it is back", async () => {
  await using redis = await startRedis();
  const env = { REDIS_URL: redis.url, DATABASE_URL: await testDatabase() };
  const { child, end, at } = await serve(["start", "tasks.ts", "--health-port", "0"], env);
  await turns(at("/ready"), 200);
  const answer = await fetch(at("/ready"));
  assert.equal(answer.headers.get("content-type"), "application/json");
  const told = (await answer.json()) as Record<string, Record<string, unknown>>;
  assert.deepEqual(Object.keys(told), ["worker", "scheduler", "projector"]);
  for (const health of Object.values(told)) {
    assert.deepEqual([health.isLive, health.isReady], [true, true]);
    assert.ok(Number.isInteger(health.lastReadAgeMs));
  }
  const head = await fetch(at("/live"), { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const other = await fetch(at("/else"));
  assert.equal(other.status, 404);
  assert.match(((await other.json()) as { error: string }).error, /\/live and \/ready/);

  await redis.kill();
  assert.ok((await turns(at("/ready"), 503)) < 5_000);
  assert.equal((await fetch(at("/live"))).status, 200, "a restart would not bring Redis back");
  await redis.restart();
  const backMs = await turns(at("/ready"), 200);
  assert.ok(backMs < 5_000, `green again after ${Math.round(backMs)} ms`);
  child.kill("SIGTERM");
  assert.equal((await end).code, 0);
});

test("a Redis that is frozen, and closes nothing, is red too", async () => {
  await using redis = await startRedis();
  const { child, end, at } = await serve(["worker", "tasks.ts"], {
    REDIS_URL: redis.url,
    TASKTRAIL_HEALTH_PORT: "0",
  });
  await turns(at("/ready"), 200);
  process.kill(redis.pid, "SIGSTOP");
  assert.ok((await turns(at("/ready"), 503)) < 5_000);
  process.kill(redis.pid, "SIGCONT");
  assert.ok((await turns(at("/ready"), 200)) < 5_000);
  child.kill("SIGTERM");
  assert.equal((await end).code, 0);
});

test("a port that is taken, or is none, is told with its exit code", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const env = { REDIS_URL: await testRedis(), TASKTRAIL_NAMESPACE: testNamespace() };
  const refused = await tasktrail(["scheduler", "tasks.ts", "--health-port", String(port)], { cwd, env });
  taken.close();
  assert.equal(refused.code, 69);
  assert.match(refused.err, new RegExp(`Port ${port} of 127\\.0\\.0\\.1 is in use`));
  const wrong = await tasktrail(["worker", "tasks.ts"], { cwd, env: { ...env, TASKTRAIL_HEALTH_PORT: "http" } });
  assert.equal(wrong.code, 78);
  assert.match(wrong.err, /TASKTRAIL_HEALTH_PORT: "http" is not a port/);
});
