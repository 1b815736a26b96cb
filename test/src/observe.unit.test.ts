import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoggerLike } from "../../src/define/broker.ts";
import type { Notice } from "../../src/middleware.ts";
import { createObserver } from "../../src/observe.ts";

/** An observer with a clock of its own, and what it has logged. */
function openObserver() {
  const lines: { level: string; message: string | undefined; facts: Record<string, unknown> }[] = [];
  let now = 1_000;
  const log = (level: string) => (facts: object, message?: string) =>
    void lines.push({ level, message, facts: { ...facts } });
  const logger: LoggerLike = {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    child: () => logger,
  };
  const observer = createObserver(logger, { clock: { now: () => now, elapsed: () => now } });
  return {
    lines,
    tell: (notice: Notice) => observer.notice?.(notice),
    wait(ms: number) {
      now += ms;
    },
  };
}

function away(code: string): Notice {
  return { kind: "redis.away", role: "read", error: Object.assign(new Error("no"), { code }) };
}

test("trouble of one class is told once in five seconds, with a count of what was left out", () => {
  const { lines, tell, wait } = openObserver();
  for (let count = 0; count < 4; count += 1) tell(away("ECONNREFUSED"));
  tell(away("ETIMEDOUT"));
  wait(4_999);
  tell(away("ECONNREFUSED"));
  wait(1);
  tell(away("ECONNREFUSED"));
  assert.deepEqual(
    lines.map(({ level, facts }) => [level, (facts.err as { code: string }).code, facts.suppressed]),
    [
      ["warn", "ECONNREFUSED", undefined],
      ["warn", "ETIMEDOUT", undefined],
      ["warn", "ECONNREFUSED", 4],
    ],
  );
});

test("runs that change hands again and again are told of once in five seconds", () => {
  const { lines, tell, wait } = openObserver();
  const taken: Notice = { kind: "entries.reclaimed", worker: "w", queue: "default", count: 3 };
  tell(taken);
  tell(taken);
  tell({ ...taken, kind: "entries.received_again" });
  wait(5_000);
  tell(taken);
  assert.deepEqual(
    lines.map(({ facts }) => facts.suppressed),
    [undefined, undefined, 1],
  );
});

test("what roles tell of themselves is told each time", () => {
  const { lines, tell } = openObserver();
  const ready: Notice = { kind: "worker.ready", worker: "w", queues: ["default"], concurrency: 10 };
  tell(ready);
  tell(ready);
  assert.deepEqual(lines[0], {
    level: "info",
    message: "worker is ready",
    facts: { worker: "w", queues: ["default"], concurrency: 10 },
  });
  assert.equal(lines.length, 2);
});

test("failed attempts and dead runs are told, by what went wrong; successes are not", () => {
  const { lines, tell } = openObserver();
  const error = { type: "TypeError", message: "no", fingerprint: "f1" };
  tell({
    kind: "events.recorded",
    queue: "default",
    events: [
      { type: "run.succeeded", run: "1", task: "a" },
      { type: "run.failed", run: "2", task: "a", attempt: 1, error, retryAt: 0 },
      { type: "run.failed", run: "3", task: "a", attempt: 1, error },
      { type: "run.failed", run: "4", task: "a", attempt: 1, error: { ...error, fingerprint: "f2" } },
      { type: "run.died", run: "5", task: "a", reason: "attempts", error },
      { type: "run.skipped", run: "6", task: "c", reason: "overlap", holder: "7" },
    ],
  });
  assert.deepEqual(
    lines.map(({ level, message, facts }) => [level, message, facts.run]),
    [
      ["warn", "attempt has failed", "2"],
      ["warn", "attempt has failed", "4"],
      ["error", "run has died", "5"],
      ["info", "run was skipped", "6"],
    ],
  );
  assert.equal(lines[0]?.facts.retryAt, "1970-01-01T00:00:00.000Z");
});

test("entries of strangers are one class, whatever task they name", () => {
  const { lines, tell } = openObserver();
  const died = (task: string) => ({ type: "run.died", task, reason: "undecodable" }) as const;
  tell({ kind: "events.recorded", queue: "default", events: ["a", "b", "c"].map(died) });
  assert.equal(lines.length, 1);
});

test("a problem is told in its own words, with its facts", () => {
  const { lines, tell } = openObserver();
  const error = new Error("why");
  tell({ kind: "problem", what: "a thing could not be done", error, facts: { task: "a" } });
  assert.deepEqual(lines, [{ level: "warn", message: "a thing could not be done", facts: { task: "a", err: error } }]);
});
