import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { eventually, testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { application } from "./application.ts";
import { documents, ended, type Given, startTasktrail, tasktrail } from "./tasktrail.ts";

const cwd = application({
  "tasks.ts": `
    import { createBroker, cron } from TASKTRAIL;
    import { z } from "zod";
    export const broker = createBroker();
    export const greet = broker.task({ name: "greet", input: z.object({ name: z.string() }), async run({ name }) { return "hello " + name; } });
    export const fail = broker.task({ name: "fail", retry: { attempts: 1 }, async run() { throw new TypeError("it broke"); } });
    export const hang = broker.task({ name: "hang", async run() { await new Promise((resolve) => setTimeout(resolve, 60_000)); } });
    export const sync = cron(broker, "0 4 29 2 *", { name: "sync_all", timezone: "Europe/Berlin", async run() { return 5; } });
  `,
  "empty.ts": "import { createBroker } from TASKTRAIL;\nexport const broker = createBroker();",
});
let env: Record<string, string>;

before(async () => {
  env = { REDIS_URL: await testRedis(), DATABASE_URL: await testDatabase(), TASKTRAIL_NAMESPACE: testNamespace() };
});

/** Starts a role, and waits until it has said that it is ready. */
async function start(args: readonly string[], given: Given = {}) {
  const child = startTasktrail(args, { cwd, env, ...given });
  let log = "";
  child.stderr?.on("data", (chunk) => (log += String(chunk)));
  const end = ended(child);
  await eventually(() => child.exitCode !== null || /worker is ready/.test(log), { timeoutMs: 30_000 });
  assert.match(log, /worker is ready/);
  return { child, end, log: () => log };
}

const run = (...args: string[]) => tasktrail(args, { cwd, env });
const stop = (child: ChildProcess) => child.kill("SIGTERM");

test("start works, fires and projects, and every listing shows it", async () => {
  const { child, end, log } = await start(["start", "tasks.ts", "--concurrency", "3"]);
  assert.match(log(), /"concurrency":3/);

  const greeted = await run("kiq", "tasks.ts", "greet", '{"name":"you"}', "--wait");
  assert.deepEqual([greeted.code, greeted.out], [0, '"hello you"\n']);
  const failed = await run("kiq", "tasks.ts", "fail", "--wait", "--json");
  assert.equal(failed.code, 1);
  assert.match(failed.err, /has failed \(attempts\): it broke/);
  await eventually(async () => (await run("crons")).out.includes("sync_all"));
  const triggered = await run("trigger", "sync_all", "--wait", "--json");
  assert.equal(documents(triggered)[0].result, 5);

  const rows = await eventually(async () => {
    const found = documents(await run("runs", "--json"));
    return found.length === 3 && found.every(({ endedAt }) => endedAt !== null) && found;
  });
  assert.deepEqual(rows.map(({ taskName, status }) => `${taskName} ${status}`).sort(), [
    "fail died",
    "greet succeeded",
    "sync_all succeeded",
  ]);
  const table = await tasktrail(["runs", "--status", "died"], { env: { ...env, COLUMNS: "80" } });
  assert.match(table.out, /…[0-9a-f-]+ +fail +died +(now|\d+s ago) +\d+ms +1 +attempts, Type/);
  for (const line of table.out.split("\n")) assert.ok(line.length <= 80, line);

  const dead = rows.find(({ status }) => status === "died")?.id;
  const life = await run("run", dead.slice(-10));
  assert.match(life.out, new RegExp(`run +${dead}\\ntask +fail\\nstatus +died`));
  assert.match(life.out, /error +TypeError: it broke\n +at /);
  assert.match(life.out, /run\.enqueued[\s\S]*run\.started[\s\S]*run\.died/);

  const { out } = await run("crons");
  assert.match(out, /sync_all +0 4 29 2 \* +Europe\/Berlin +At 04:00, on day 29 of the month, only in February/);
  assert.match(out, /last +\S+ \(.*ago\) +success/);
  assert.match(out, /next +20\d\d-02-29T04:00:00\+01:00 \(in \d+d, in \d+d, in \d+d\)/);
  assert.match((await run("crons", "history", "sync_all")).out, /success +manual/);

  const unknown = await run("trigger", "sync_al");
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /no schedule "sync_al" in namespace.*Did you mean "sync_all"\?/);

  stop(child);
  assert.equal((await end).code, 0);
  assert.match(log(), /worker has stopped/);
  const { out: queues } = await run("queues");
  assert.match(queues, /default +0 +0 +0 +1/);
});

test("dead runs are listed, shown and run again as new ones, many only when that is confirmed", async () => {
  const { child, end } = await start(["worker", "tasks.ts"]);
  const handles = await Promise.all([run("kiq", "tasks.ts", "fail"), run("kiq", "tasks.ts", "fail")]);
  const ids = handles.map(({ out }) => out.trim());
  const listed = await eventually(async () => {
    const found = documents(await run("dead", "list", "--task", "fail", "--json"));
    return ids.every((id) => found.some((one) => one.run === id)) && found;
  });
  assert.equal(listed[0].error.message, "it broke");
  assert.match((await run("dead", "list")).out, /fail +(now|\d+s ago) +1 +attempts +TypeError: it broke/);
  assert.match(
    (await run("dead", "show", ids[0] as string)).out,
    /reason +attempts\n[\s\S]*TypeError: it broke\n +at /,
  );

  const one = await run("dead", "redrive", ids[0] as string, "--json");
  const [redriven] = documents(one);
  assert.equal(redriven.redriveOf, ids[0]);
  assert.notEqual(redriven.run, ids[0]);
  const again = await run("dead", "redrive", ids[0] as string);
  assert.equal(again.code, 1);
  assert.match(again.err, /No dead run/);

  const unasked = await run("dead", "redrive", "--all");
  assert.equal(unasked.code, 2);
  assert.match(unasked.err, /\d dead runs? would be run again\.\nAdd --yes/);
  assert.equal((await run("dead", "redrive", "--task", "fail", "--yes")).code, 0);
  assert.equal((await run("dead", "redrive")).code, 2);
  stop(child);
  assert.equal((await end).code, 0);
});

test("a waiting run is cancelled at once, one that has ended is not", async () => {
  const queued = (await run("kiq", "tasks.ts", "greet", '{"name":"x"}', "--delay", "1h")).out.trim();
  const cancelled = await run("cancel", queued, "--reason", "not needed");
  assert.deepEqual([cancelled.code, cancelled.out], [0, `cancelled ${queued}\n`]);
  const again = await run("cancel", queued);
  assert.equal(again.code, 1);
  assert.match(again.err, /has ended already/);
  const nobody = await run("cancel", "01a20738-c1de-7505-9097-7697d29b9565");
  assert.equal(nobody.code, 1);
});

test("a run that is asked twice with one key is one run", async () => {
  const first = documents(
    await run("kiq", "tasks.ts", "greet", '{"name":"x"}', "--key", "k", "--delay", "1h", "--json"),
  )[0];
  const second = documents(
    await run("kiq", "tasks.ts", "greet", '{"name":"x"}', "--key", "k", "--delay", "1h", "--json"),
  )[0];
  assert.deepEqual([first.isNew, second.isNew, second.run], [true, false, first.run]);
});

test("inputs that do not fit, and tasks that are not there, are told before anything is sent", async () => {
  const wrong = await run("kiq", "tasks.ts", "greet", '{"name":5}');
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /input\.name: .*expected string/);
  const unknown = await run("kiq", "tasks.ts", "gret", "{}");
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /declares no task "gret"\. Did you mean "greet"\?/);
  const piped = await tasktrail(["kiq", "tasks.ts", "greet", "-"], { cwd, env, input: '{"name": oops}' });
  assert.equal(piped.code, 2);
  assert.match(piped.err, /unexpected "o" at line 1, column 10/);
});

test("a second signal ends a worker at once", async () => {
  const { child, end } = await start(["worker", "tasks.ts", "--queues", "default", "--shutdown-grace", "1m"]);
  const id = (await run("kiq", "tasks.ts", "hang")).out.trim();
  await eventually(async () =>
    documents(await run("events", "--run", id, "--json")).some(({ type }) => type === "run.started"),
  );
  // Signals that come within a moment of each other are one wish; the first after that ends it, long before its grace is over.
  await eventually(() => {
    stop(child);
    return child.exitCode !== null;
  });
  const { code, err } = await end;
  assert.equal(code, 143, err);
});

test("roles without anything to do say so and do not start", async () => {
  for (const [role, pattern] of [
    ["worker", /No task is declared on the broker of empty\.ts/],
    ["start", /No task is declared/],
    ["scheduler", /No cron is declared on the broker of empty\.ts/],
  ] as const) {
    const { code, err } = await run(role, "empty.ts");
    assert.equal(code, 78);
    assert.match(err, pattern);
  }
  const { DATABASE_URL: _none, ...rest } = env;
  const { code, err } = await tasktrail(["projector", "tasks.ts"], { cwd, env: rest });
  assert.equal(code, 78);
  assert.match(err, /the projector keeps its tables in Postgres, and none is named/);
});

test("--for ends a role by itself", async () => {
  const { code } = await run("worker", "tasks.ts", "--for", "500ms");
  assert.equal(code, 0);
});

test("--watch starts a role again when a file that it has imported changes", async () => {
  const folder = application({
    "tasks.ts":
      'import { createBroker } from TASKTRAIL;\nimport "./part.ts";\nexport const broker = createBroker();\nbroker.task({ name: "a", async run() {} });',
    "part.ts": "export const part = 1;",
  });
  const { child, end, log } = await start(["worker", "tasks.ts", "--watch"], { cwd: folder });
  writeFileSync(join(folder, "part.ts"), "export const part = 2;");
  await eventually(() => (log().match(/worker is ready/g) ?? []).length >= 2, { timeoutMs: 30_000 });
  stop(child);
  await end;
});
