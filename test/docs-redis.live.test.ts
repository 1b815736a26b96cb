import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { Redis } from "ioredis";
import { createBroker } from "../src/broker.ts";
import { cron } from "../src/define/cron.ts";
import { WORKER_COMMANDS } from "../src/deliver/rights.ts";
import { freePort } from "../src/dev/ports.ts";
import { startRedis } from "../src/dev/start-redis.ts";
import { createProjector } from "../src/projector.ts";
import { createScheduler } from "../src/scheduler.ts";
import { createWorker } from "../src/worker.ts";
import { laneKeys } from "../streams/keys.ts";
import { type ScriptName, scriptText } from "../streams/scripts.ts";
import { tasktrail } from "./src/cli/tasktrail.ts";
import { openLedger } from "./support/ledger.ts";
import { scratchFolder } from "./support/programs.ts";
import { eventually, testDatabase } from "./support/servers.ts";

const document = readFileSync(join(import.meta.dirname, "../docs/redis.md"), "utf8");

/** The rights of each role's user, as documented. */
const RULES = new Map(
  [...document.matchAll(/^ACL SETUSER tasktrail-(\w+) (.*)$/gm)].map(([, role, rules]) => [role, rules as string]),
);

/** The scripts that a worker runs; its handlers may dispatch and cancel, too. */
const WORKER_SCRIPTS: readonly ScriptName[] = [
  ...([
    "open",
    "beat",
    "promote",
    "receive",
    "reclaim",
    "recover",
    "release",
    "settle",
    "leave",
    "next",
    "bound",
  ] as const),
];

/** The scripts that `broker.schedules` runs. */
const MANAGING: readonly ScriptName[] = ["schedules", "declare", "fire", "backfill", "next"];

/** The scripts that a role may come to run. */
const SCRIPTS_OF: Readonly<Record<string, readonly ScriptName[]>> = {
  producer: ["enqueue", "cancel", ...MANAGING],
  worker: [...WORKER_SCRIPTS, "enqueue", "cancel", ...MANAGING],
  scheduler: ["open", "declare", "schedules", "fire"],
  projector: ["relay", "publish", "trim", "regress", "claim", "restore", "withdraw"],
  tools: ["enqueue", "cancel", "settle", ...MANAGING],
};

/** A Redis with the documented users. `as` gives the URL of one; `denied` what any of them was refused. */
async function openGuarded() {
  const server = await startRedis();
  const redis = new Redis(server.url);
  for (const [role, rules] of RULES) {
    await redis.call("ACL", "SETUSER", `tasktrail-${role}`, ...rules.replace("SECRET", "secret").split(" "));
  }
  const as = (role: string) =>
    Object.assign(new URL(server.url), { username: `tasktrail-${role}`, password: "secret" }).href;
  const denied = async () => {
    const log = (await redis.call("ACL", "LOG")) as unknown[][];
    return log.map((entry) => `${entry[11]?.toString().match(/user=\S+/) ?? ""} ${entry[9]} ${entry[3]} ${entry[7]}`);
  };
  return {
    server,
    redis,
    as,
    denied,
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A process' view of one application, as one user. */
function application(redis: string, database: string) {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const broker = createBroker({ redis, database, namespace: "tasktrail", logger });
  const once = broker.task({ name: "once", run: () => "done" });
  const fails = broker.task({ name: "fails", retry: { attempts: 2, delay: "50ms" }, run: fail });
  const tick = cron(broker, "* * * * *", { name: "tick", run() {} });
  return { broker, once, fails, tick };
}

function fail(): never {
  throw new Error("as it is meant to");
}

/** Has a schedule be as if it had been declared minutes ago, so that it owes slots: its next one is up to a minute away. */
async function oweSlots(redis: Redis, schedule: string): Promise<void> {
  const { cron: kept } = laneKeys("tasktrail", "default");
  const text = await eventually(() => redis.hget(kept, `definition:${schedule}`));
  const definition = JSON.parse(text) as { readonly changedAt: number };
  const earlier = { ...definition, changedAt: definition.changedAt - 180_000 };
  await redis.hset(kept, `definition:${schedule}`, JSON.stringify(earlier));
}

test("the documented rights hold every command of the scripts that a role runs", () => {
  assert.deepEqual([...RULES.keys()], ["producer", "worker", "scheduler", "projector", "tools"]);
  for (const [role, scripts] of Object.entries(SCRIPTS_OF)) {
    const granted = new Set(RULES.get(role)?.match(/\+(\w+)/g));
    for (const name of scripts) {
      for (const [, command] of scriptText(name).source.matchAll(/redis\.p?call\('(\w+)'/g))
        assert.ok(granted.has(`+${command?.toLowerCase()}`), `${role} needs ${command} for ${name}`);
    }
  }
});

test("a worker asks for the right to every command of its scripts, and for none that the documented rights leave out", () => {
  const asked = new Set(WORKER_COMMANDS.map((text) => text.split(" ")[0]));
  const granted = new Set(RULES.get("worker")?.match(/\+(\w+)/g));
  for (const name of WORKER_SCRIPTS)
    for (const [, command] of scriptText(name).source.matchAll(/redis\.p?call\('(\w+)'/g))
      assert.ok(asked.has(command), `a worker sends ${command} in ${name}`);
  for (const command of asked) assert.ok(granted.has(`+${command?.toLowerCase()}`), `a worker asks for ${command}`);
});

test("a worker that lacks a right says which, whatever it is", async () => {
  await using guarded = await openGuarded();
  const { broker } = application(guarded.as("worker"), "postgres://nobody@127.0.0.1:1/none");
  await using _broker = broker;
  const start = () => createWorker(broker).run(AbortSignal.timeout(10_000));
  await guarded.redis.call("ACL", "SETUSER", "tasktrail-worker", "-xclaim", "-zmscore");
  await assert.rejects(start(), {
    code: "invalid_option",
    message: /may not send XCLAIM, ZMSCORE: grant \+xclaim \+zmscore$/,
  });
  await guarded.redis.call("ACL", "SETUSER", "tasktrail-worker", "+xclaim", "+zmscore", "resetkeys", "~other:*");
  await assert.rejects(start(), {
    code: "invalid_option",
    message: /may not use keys that begin with \{tasktrail:default\}/,
  });
});

test("each role works under its documented rights, and Redis refuses none of its commands", {
  timeout: 150_000,
}, async () => {
  await using guarded = await openGuarded();
  const database = await testDatabase();
  const producer = application(guarded.as("producer"), database);
  const atWork = application(guarded.as("worker"), database);
  const keeping = application(guarded.as("scheduler"), database);
  const projecting = application(guarded.as("projector"), database);
  const roles = [
    createWorker(atWork.broker, { lease: "1s" }),
    createScheduler(keeping.broker),
    createProjector(projecting.broker),
  ];
  await using atEnd = new AsyncDisposableStack();
  for (const role of roles) atEnd.use(role);
  for (const { broker } of [producer, atWork, keeping, projecting]) atEnd.use(broker);
  const working = roles.map((role) => role.run());
  await using ledger = await openLedger(guarded.server.url, "tasktrail");

  const run = await producer.once.with({ key: "k" }).kiq();
  assert.equal(await run.result(), "done");
  assert.equal((await producer.once.with({ key: "k" }).kiq()).id, run.id);
  assert.equal(await run.status(), "succeeded");
  assert.ok((await run.events()).length >= 3);
  const later = await producer.once.with({ delay: "1h" }).kiq();
  assert.equal(await later.cancel("no need"), true);
  const [many] = await producer.fails.kiqMany([undefined]);
  await assert.rejects(async () => many?.result(), /attempts/);
  await oweSlots(guarded.redis, "tick");
  await producer.broker.schedules.pause("tick");
  await producer.broker.schedules.resume("tick"); // the scheduler is told, and looks
  await ledger
    .waitFor((events) => events.some((event) => event.type === "slot.fired"))
    .catch(async (error: Error) => assert.fail(`${await guarded.denied()}\n${error.message}`));
  await producer.tick.trigger();
  await eventually(() => roles.every((role) => role.health().isReady), { timeoutMs: 30_000 });
  await Promise.all(roles.map((role) => role.stop()));
  await Promise.all(working);

  const env = { REDIS_URL: guarded.as("tools"), DATABASE_URL: database };
  for (const command of [
    "queues",
    "crons",
    "dead list",
    "events",
    "runs",
    `run ${run.id}`,
    "dead redrive --all --yes",
  ]) {
    const ran = await tasktrail(command.split(" "), { env });
    assert.equal(ran.code, 0, `${command}: ${ran.err}`);
  }
  const doctor = await tasktrail(["doctor"], { env });
  assert.match(doctor.out, /the user may send all \d+ commands/);
  assert.deepEqual(await guarded.denied(), []);
});

test("a broker reaches Redis over TLS, by NODE_EXTRA_CA_CERTS or by a client of its own", async () => {
  const folder = scratchFolder("tls");
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "1",
    "-keyout",
    key,
    "-out",
    cert,
    ...subject,
  ];
  execFileSync("openssl", made, { stdio: "ignore" });
  const port = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
  await using server = await startRedis({ args: ["--tls-port", String(port), ...files, "--tls-auth-clients", "no"] });
  const url = `rediss://:${new URL(server.url).password}@127.0.0.1:${port}`;
  const plain = { REDIS_URL: url, LOG_LEVEL: "warn" };
  assert.equal(await play("first-task.ts", { ...plain, NODE_EXTRA_CA_CERTS: cert }), "Hello, Ada");
  assert.equal(await play("tls.ts", { ...plain, REDIS_CA: cert }), "Hello over TLS");
});

/** Runs an example to its end, and gives what it printed. */
async function play(name: string, env: Readonly<Record<string, string>>): Promise<string> {
  const file = join(import.meta.dirname, "examples", name);
  const child = spawn(process.execPath, ["--conditions=tasktrail-source", file], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  assert.deepEqual([code, errors], [0, ""]);
  return out.trim();
}
