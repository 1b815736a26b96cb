import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { tasktrail } from "./tasktrail.ts";

const away = { REDIS_URL: "redis://someone:secret@127.0.0.1:1/0" };

test("the help lists every command, and the exit codes", async () => {
  const { code, out } = await tasktrail(["--help"]);
  assert.equal(code, 0);
  for (const { name } of COMMANDS) assert.match(out, new RegExp(`^  ${name}\\b`, "m"));
  assert.match(out, /69 +Redis or Postgres is not available/);
});

for (const { name, summary } of COMMANDS) {
  test(`the help of ${name} says what it does, with an example`, async () => {
    const { code, out } = await tasktrail([name, "--help"]);
    assert.equal(code, 0);
    assert.ok(out.replace(/\s+/g, " ").includes(summary));
    assert.match(out, new RegExp(`Examples?:\\n  \\$ tasktrail ${name}`));
    assert.match(out, /--redis <url>/);
  });
}

test("every command is described in one sentence", () => {
  for (const { name, summary } of COMMANDS) assert.match(summary, /^[A-Z][^.]*\.$/, name);
});

test("the version is the package's", async () => {
  assert.match((await tasktrail(["--version"])).out, /^\d+\.\d+\.\d+\n$/);
});

const mistakes: [string, string[], number, RegExp][] = [
  ["no command", [], 2, /Usage: tasktrail/],
  ["an unknown command", ["quues"], 2, /unknown command 'quues'\n\(Did you mean queues\?\)/],
  ["an unknown flag", ["events", "--folow"], 2, /unknown option '--folow'\n\(Did you mean --follow\?\)/],
  ["a number that is none", ["events", "--limit", "ten"], 2, /'ten' is invalid\. It is a whole number/],
  ["a time that is none", ["events", "--since", "5 parsecs"], 2, /It is a time such as "10m"/],
  ["an empty URL", ["queues", "--redis", ""], 2, /'--redis <url>' argument '' is invalid. it is empty/],
  ["a URL without scheme", ["queues", "--redis", "localhost:6379"], 2, /it has no scheme/],
  ["a namespace that cannot be", ["queues", "--namespace", "a:b"], 2, /none of them white space/],
  ["an argument too many", ["queues", "x"], 2, /too many arguments/],
  ["an argument too few", ["run"], 2, /missing required argument 'id'/],
  ["a status that is none", ["runs", "--status", "dead"], 2, /Allowed choices are scheduled, waiting/],
];

for (const [what, args, expected, pattern] of mistakes) {
  test(`${what} exits with ${expected} and says what to do`, async () => {
    const { code, out, err } = await tasktrail(args, { env: away });
    assert.equal(code, expected);
    assert.match(err, pattern);
    assert.equal(out, "");
    assert.doesNotMatch(err, /\n +at /);
  });
}

test("a Redis that is not named is a matter of configuration", async () => {
  const { code, err } = await tasktrail(["queues"]);
  assert.equal(code, 78);
  assert.match(err, /No Redis is named\.\nSet REDIS_URL/);
});

test("a Redis that is away exits with 69, and its password is not told", async () => {
  const { code, err } = await tasktrail(["queues"], { env: away });
  assert.equal(code, 69);
  assert.match(err, /Redis at redis:\/\/\*\*\*:\*\*\*@127\.0\.0\.1:1\/0 does not answer: ECONNREFUSED\.\nStart it/);
  assert.doesNotMatch(err, /secret|\n +at /);
});

test("--verbose adds the stack", async () => {
  const { err } = await tasktrail(["queues", "--verbose"], { env: away });
  assert.match(err, /ECONNREFUSED[\s\S]*\n +at /);
});

test("a login that Redis refuses exits with 77", async () => {
  const url = new URL(await testRedis());
  url.password = "wrong";
  const { code, err } = await tasktrail(["queues", "--redis", url.href]);
  assert.equal(code, 77);
  assert.match(err, /refused the login: WRONGPASS/);
  assert.doesNotMatch(err, /:wrong@/);
});

test("a Postgres that is away exits with 69, one that is not named with 78", async () => {
  const { code, err } = await tasktrail(["runs", "--database", "postgres://someone:secret@127.0.0.1:1/app"]);
  assert.equal(code, 69);
  assert.match(err, /Cannot open PostgreSQL at 127\.0\.0\.1:1, database "app", user "someone": nothing listens there/);
  assert.doesNotMatch(err, /secret/);
  const unnamed = await tasktrail(["runs"]);
  assert.equal(unnamed.code, 78);
  assert.match(unnamed.err, /task_runs in Postgres, and no Postgres is named\.\nSet DATABASE_URL/);
});

test("a database without tables leads to migrate, which makes them once", async () => {
  const env = { DATABASE_URL: await testDatabase(), TASKTRAIL_NAMESPACE: testNamespace() };
  const before = await tasktrail(["runs"], { env });
  assert.equal(before.code, 78);
  assert.match(before.err, /Run: tasktrail migrate/);
  assert.match((await tasktrail(["migrate", "--status"], { env })).out, /0001-ledger-archive +pending/);
  assert.match((await tasktrail(["migrate"], { env })).out, /applied 0001-ledger-archive\n/);
  assert.match((await tasktrail(["migrate"], { env })).err, /up to date/);
  assert.doesNotMatch((await tasktrail(["migrate", "--status"], { env })).out, /pending/);
  const { code, err } = await tasktrail(["runs"], { env });
  assert.equal(code, 0);
  assert.match(err, /No such run in namespace/);
});
