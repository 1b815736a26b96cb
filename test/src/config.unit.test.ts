import assert from "node:assert/strict";
import { test } from "node:test";
import {
  brokerSettings,
  checkBrokerOptions,
  databaseSource,
  redisSource,
  schedulerSettings,
  workerSettings,
} from "../../src/config.ts";
import { projectorSettings } from "../../src/projector-settings.ts";

test("a broker's defaults are those of its documentation", () => {
  assert.deepEqual(
    { ...brokerSettings({}, {}) },
    {
      namespace: "tasktrail",
      logLevel: "info",
      enqueueTimeoutMs: 5_000,
      maxPayloadBytes: 262_144,
    },
  );
});

test("an option goes before its variable, and a variable before the default", () => {
  const env = {
    TASKTRAIL_NAMESPACE: "shop",
    LOG_LEVEL: "WARN",
    REDIS_URL: "redis://from-env",
    DATABASE_URL: "postgres://env/app",
  };
  assert.equal(brokerSettings({}, env).namespace, "shop");
  assert.equal(brokerSettings({ namespace: "mine" }, env).namespace, "mine");
  assert.equal(brokerSettings({}, env).logLevel, "warn");
  assert.equal(redisSource({}, env), "redis://from-env");
  assert.equal(redisSource({ redis: "redis://mine" }, env), "redis://mine");
  assert.equal(databaseSource({}, env), "postgres://env/app");
  const make = () => ({});
  assert.equal(redisSource({ redis: make }, env), make);
  assert.equal(databaseSource({ database: make }, {}), make);
});

test("levels of other loggers are understood, and none is read by who brings a logger", () => {
  const levels = { WARN: "warn", verbose: "debug", warning: "warn", off: "silent" };
  for (const [text, level] of Object.entries(levels))
    assert.equal(brokerSettings({}, { LOG_LEVEL: text }).logLevel, level);
  assert.equal(brokerSettings({}, { LOG_LEVEL: "whatever" }).namespace, "tasktrail");
});

test("a variable that is set to nothing is not set", () => {
  const env = {
    TASKTRAIL_NAMESPACE: "",
    LOG_LEVEL: " ",
    DATABASE_URL: "",
    TASKTRAIL_QUEUES: "",
    TASKTRAIL_CONCURRENCY: " ",
  };
  assert.equal(brokerSettings({}, env).namespace, "tasktrail");
  assert.equal(brokerSettings({}, env).logLevel, "info");
  assert.equal(databaseSource({}, env), undefined);
  assert.equal(workerSettings({}, env).queues, undefined);
  assert.equal(workerSettings({}, env).concurrency, 10);
  assert.throws(() => redisSource({}, { REDIS_URL: "" }), /no Redis is named: set REDIS_URL/);
});

test("a mistake is told by the name of what it was read from", () => {
  assert.throws(() => redisSource({}, { REDIS_URL: "localhost:6379" }), /^InvalidOption: REDIS_URL: it has no scheme/);
  assert.throws(() => redisSource({ redis: "localhost:6379" }, {}), /^InvalidOption: redis: /);
  assert.throws(() => databaseSource({}, { DATABASE_URL: "mysql://x" }), /^InvalidOption: DATABASE_URL: /);
  assert.throws(
    () => brokerSettings({}, { LOG_LEVEL: "inf" }).logLevel,
    /LOG_LEVEL: "inf" is none of .* Did you mean "info"\?/,
  );
  assert.throws(
    () => brokerSettings({}, { TASKTRAIL_NAMESPACE: "a:b" }),
    /TASKTRAIL_NAMESPACE: "a:b" cannot be part of a key/,
  );
  assert.throws(
    () => workerSettings({}, { TASKTRAIL_CONCURRENCY: "ten" }),
    /TASKTRAIL_CONCURRENCY: "ten" is not a whole number/,
  );
  assert.throws(() => workerSettings({}, { TASKTRAIL_QUEUES: "a,b c" }), /TASKTRAIL_QUEUES: "b c" cannot be a queue/);
});

test("an option that does not exist gets what was probably meant", () => {
  assert.throws(
    () => checkBrokerOptions({ namspace: "x" } as never),
    /createBroker has no such option\. Did you mean "namespace"\?/,
  );
  assert.throws(() => workerSettings({ concurency: 5 } as never, {}), /Did you mean "concurrency"\?/);
  assert.throws(() => schedulerSettings({ lock: [] } as never, {}), /Did you mean "locks"\?/);
  assert.throws(() => projectorSettings({ batches: 5 } as never), /Did you mean "batch"\?/);
});

test("options of the wrong kind are refused", () => {
  assert.throws(() => checkBrokerOptions({ redis: 6379 as never }), /redis: 6379 is neither a URL nor a function/);
  assert.throws(() => checkBrokerOptions({ logger: console as never }), /logger: not a logger/);
  assert.throws(() => checkBrokerOptions("redis://x" as never), /takes an object of options/);
  assert.throws(() => brokerSettings({ maxPayloadBytes: 0 }, {}), /maxPayloadBytes: 0 is not a whole number/);
  assert.throws(() => brokerSettings({ enqueueTimeout: "0s" }, {}), /enqueueTimeout: "0s" is too short/);
  assert.throws(() => workerSettings({ lease: "10ms" }, {}), /lease: "10ms" is too short: at least "100ms"/);
  assert.throws(() => workerSettings({ queues: [] }, {}), /queues: names no queue/);
  assert.throws(() => workerSettings({ overrides: [{} as never] }, {}), /takes what override\(provider, value\) gives/);
  assert.throws(() => schedulerSettings({ locks: ["redis://a", "redis://b"] }, {}), /an odd number/);
  assert.throws(() => schedulerSettings({ locks: ["http://a"] }, {}), /locks: "http:\/\/" is not its scheme/);
});

test("a worker's defaults are those of its documentation", () => {
  assert.deepEqual(workerSettings({}, {}), {
    queues: undefined,
    concurrency: 10,
    leaseMs: 30_000,
    shutdownGraceMs: 30_000,
    maxDeliveries: 5,
    unknownTaskGraceMs: 900_000,
    maxBlockMs: 300_000,
    keepLedgerBytes: 268_435_456,
    locks: undefined,
    overrides: [],
  });
});

test("lock servers are the same for workers and schedulers: by the option, else by TASKTRAIL_LOCKS, and of an odd number", () => {
  const env = { TASKTRAIL_LOCKS: "redis://a, redis://b,redis://c" };
  for (const settings of [schedulerSettings, workerSettings]) {
    assert.deepEqual(settings({}, env).locks, ["redis://a", "redis://b", "redis://c"]);
    assert.deepEqual(settings({ locks: ["redis://d"] }, env).locks, ["redis://d"]);
    assert.throws(
      () => settings({}, { TASKTRAIL_LOCKS: "redis://a,redis://b" }),
      /TASKTRAIL_LOCKS: takes an odd number/,
    );
    assert.throws(() => settings({ locks: [] }, {}), /locks: takes an odd number/);
  }
});

test("queues are listed with commas, and each once", () => {
  assert.deepEqual(workerSettings({}, { TASKTRAIL_QUEUES: "emails, payments,,emails" }).queues, ["emails", "payments"]);
  assert.deepEqual(workerSettings({ queues: ["a"] }, { TASKTRAIL_QUEUES: "b" }).queues, ["a"]);
  assert.equal(workerSettings({}, { TASKTRAIL_CONCURRENCY: "32" }).concurrency, 32);
});
