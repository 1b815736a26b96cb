import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, testNamespace, testRedis } from "../../support/servers.ts";
import { seedLane } from "./seeded-lane.ts";
import { documents, ended, startTasktrail, tasktrail } from "./tasktrail.ts";

const REDIS_URL = await testRedis();
const lines = (text: string) => text.trimEnd().split("\n");

test("queues shows what waits, runs, is scheduled and dead, and who works", async () => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  const env = { REDIS_URL, TASKTRAIL_NAMESPACE };
  using mail = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE, "mail");
  for (const task of ["a", "b", "c", "d"]) await mail.add(task);
  await mail.add("later", 60_000);
  await mail.die("no");
  await mail.start();
  const [state] = documents(await tasktrail(["queues", "--json"], { env }));
  const { queue, waiting, running, scheduled, dead, workers, ledger, hasGroups } = state;
  assert.deepEqual(
    { queue, waiting, running, scheduled, dead, hasGroups },
    { queue: "mail", waiting: 2, running: 1, scheduled: 1, dead: 1, hasGroups: true },
  );
  assert.equal(ledger.entries, 7);
  assert.ok(ledger.bytes > 0 && state.oldestWaitingAt > 0 && state.nextDueAt > Date.now());
  assert.equal(workers.length, 1);
  assert.equal(workers[0].worker, mail.worker);
  assert.ok(workers[0].leaseLeftMs > 20_000);

  const { out } = await tasktrail(["queues"], { env: { ...env, COLUMNS: "70" } });
  assert.match(out, /QUEUE +WAITING +RUNNING +SCHEDULED +DEAD/);
  assert.match(out, /mail +2 +1 +1 +1/);
  assert.match(out, new RegExp(`${mail.worker} +mail +1 +\\d+s left`));
  for (const line of lines(out)) assert.ok(line.length <= 70, line);
});

test("a namespace without queues says so", async () => {
  const { code, out, err } = await tasktrail(["queues"], { env: { REDIS_URL, TASKTRAIL_NAMESPACE: testNamespace() } });
  assert.deepEqual([code, out], [0, ""]);
  assert.match(err, /There is no queue in namespace/);
});

test("events shows the latest ones, of the task, type, run or queue that is asked for", async () => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  const env = { REDIS_URL, TASKTRAIL_NAMESPACE };
  using lane = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE);
  using other = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE, "other");
  const run = await lane.add("send");
  await lane.add("import\u001b[2J");
  await lane.succeed();
  await lane.die("it \u001b[31mbroke\nbadly");
  await other.add("elsewhere");
  const types = async (...args: string[]) =>
    documents(await tasktrail(["events", "--json", ...args], { env })).map(({ type, task }) => `${type} ${task}`);
  assert.equal((await types()).length, 7);
  assert.deepEqual(await types("--run", run), ["run.enqueued send", "run.started send", "run.succeeded send"]);
  assert.deepEqual(await types("--task", "send", "--type", "run.st*,run.succeeded"), [
    "run.started send",
    "run.succeeded send",
  ]);
  assert.deepEqual(await types("--queue", "other"), ["run.enqueued elsewhere"]);
  assert.deepEqual(await types("--limit", "1", "--queue", "default"), ["run.died import\u001b[2J"]);
  assert.deepEqual(await types("--since", "2099-01-01"), []);

  const { out } = await tasktrail(["events"], { env: { ...env, COLUMNS: "100" } });
  assert.match(out, /run\.died +import +…[0-9a-f]{8} +attempts, TypeError: it broke badly/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would act on them
  assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f]/);
  for (const line of lines(out)) assert.ok(line.length <= 100, line);
});

test("events --follow shows what comes, also in a queue that is new, until it is told to stop", async () => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  using lane = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE);
  await lane.add("before");
  const child = startTasktrail(["events", "--follow", "--json"], { env: { REDIS_URL, TASKTRAIL_NAMESPACE } });
  const seen: string[] = [];
  child.stdout?.on("data", (chunk) =>
    seen.push(...[...String(chunk).matchAll(/"task":"(\w+)"/g)].map((found) => found[1] as string)),
  );
  const end = ended(child);
  await eventually(() => seen.includes("before"));
  await lane.add("during");
  await eventually(() => seen.includes("during"));
  using fresh = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE, "fresh");
  await fresh.add("elsewhere");
  await eventually(() => seen.includes("elsewhere"));
  child.kill("SIGINT");
  assert.equal((await end).code, 0);
  assert.deepEqual(seen, ["before", "during", "elsewhere"]);
});

test("a reader that has seen enough ends a listing without a word", async () => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  using lane = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE);
  for (let i = 0; i < 50; i += 1) await lane.add(`task_${i}`);
  const child = startTasktrail(["events", "--follow"], { env: { REDIS_URL, TASKTRAIL_NAMESPACE } });
  const end = ended(child);
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  child.stdout?.destroy();
  await lane.add("one_more");
  const { code, err } = await end;
  assert.deepEqual([code, err], [0, ""]);
});
