import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError, explain } from "../../../src/cli/failure.ts";
import { invalidInput } from "../../../src/define/payload-errors.ts";
import { invalidOption, noTasks, runUnknown } from "../../../src/errors.ts";
import { CallFailed } from "../../../streams/lane.ts";

const withCode = (code: string, message = "it went wrong", cause?: unknown) =>
  Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });

const expected: [string, unknown, number][] = [
  ["a bad option", invalidOption("redis", "no scheme"), 78],
  ["a login that Redis refuses", invalidOption("redis", "no", { cause: new Error("WRONGPASS invalid") }), 77],
  ["a login that Postgres refuses", withCode("database_unreachable", "no", withCode("28P01")), 77],
  ["no tasks", noTasks(), 78],
  ["an input that does not fit", invalidInput("a", [{ path: "x", message: "no" }]), 2],
  ["a run that nobody knows", runUnknown("x"), 1],
  ["a Postgres that is away", withCode("database_unreachable"), 69],
  ["a migration that failed for want of rights", withCode("migration_failed", "no", withCode("42501")), 77],
  ["a migration that failed", withCode("migration_failed", "no", withCode("42P07")), 1],
  ["a database of a newer version", withCode("database_too_new"), 78],
  ["a table that is missing", new Error("query", { cause: withCode("42P01", "relation missing") }), 78],
  ["Postgres out of connections", withCode("53300"), 69],
  ["a Redis that is away", new Error("connect ECONNREFUSED 127.0.0.1:1"), 69],
  ["a Redis that refuses a command", new Error("NOPERM this user has no permissions"), 77],
  ["a Redis without memory", new CallFailed("enqueue", new Error("OOM command not allowed"), false), 69],
  ["a file that may not be read", withCode("EACCES"), 77],
  ["a mistake of ours", new TypeError("x is not a function"), 70],
  ["what is no error at all", "boom", 70],
];

for (const [what, error, exitCode] of expected) {
  test(`${what} exits with ${exitCode}`, () => assert.equal(explain(error).exitCode, exitCode));
}

test("a failure that a command explains keeps its words", () => {
  const error = new CliError(78, "No Redis is named.", { advice: "Set REDIS_URL." });
  assert.deepEqual(explain(error), { message: "No Redis is named.", advice: "Set REDIS_URL.", exitCode: 78 });
});

test("a missing table leads to migrate", () => {
  assert.match(explain(withCode("42P01")).advice ?? "", /tasktrail migrate/);
});
