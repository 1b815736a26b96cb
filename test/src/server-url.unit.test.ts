import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkServerUrl, redacted } from "../../src/server-url.ts";

function problemOf(text: unknown, server: "redis" | "postgres" = "redis"): string {
  try {
    checkServerUrl("REDIS_URL", text, server);
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, "invalid_option");
    return (error as Error).message;
  }
  return "";
}

/** A shell's placeholder. */
const hole = (name: string) => `$\{${name}}`;

test("URLs that people use are taken", () => {
  const right = [
    "redis://localhost",
    "redis://localhost:6379/2",
    "rediss://user:p%40ss@redis.example.com:6380/0",
    "redis://:secret@[::1]:6379",
    "redis://10.0.0.1:6379?family=4",
    "redis://user:%AB%CDE%20$(@localhost:6379",
    "REDIS://localhost:1",
    "/run/redis.sock",
  ];
  for (const url of right) assert.equal(problemOf(url), "", url);
  const postgres = [
    "postgres://user:pw@localhost:5432/app?sslmode=disable",
    "postgresql://%2Ftmp%2Fsock/app",
    "postgres:///app?host=/run/postgresql",
  ];
  for (const url of postgres) assert.equal(problemOf(url, "postgres"), "", url);
});

test("what is wrong with a URL is said", () => {
  assert.match(problemOf("localhost:6379"), /has no scheme: write redis:\/\/host:port/);
  assert.match(
    problemOf("http://localhost:6379"),
    /"http:\/\/" is not its scheme: it begins with "redis:\/\/" or "rediss:\/\/"/,
  );
  assert.match(problemOf("postgres://localhost/app"), /is not its scheme/);
  assert.match(problemOf("redis://localhost:99999"), /"99999" is not a port: 1 to 65535/);
  assert.match(problemOf("redis://localhost:abc"), /"abc" is not a port/);
  assert.match(problemOf("redis://localhost:0"), /"0" is not a port/);
  assert.match(problemOf("redis://localhost/abc"), /"abc" is not the number of a database/);
  assert.match(problemOf("redis://"), /names no host|not a URL/);
  assert.match(problemOf("redis://local host"), /white space/);
  assert.match(problemOf('"redis://localhost"'), /quotes are part of the value/);
  assert.match(problemOf("redis://:p#ss@localhost"), /%23/);
  assert.match(problemOf(5), /takes a URL such as redis:\/\/localhost:6379/);
});

test("a placeholder that nothing was put in for is named", () => {
  for (const text of [
    `redis://${hole("REDIS_HOST")}:6379`,
    hole("REDIS_URL"),
    "redis://$(host)",
    "redis://{{ host }}",
  ]) {
    assert.match(problemOf(text), /was not substituted/, text);
  }
});

test("no message shows a password", () => {
  const urls = [
    "redis://user:hunter2@localhost:99999",
    "http://user:hunter2@localhost",
    `redis://:hunter2@${hole("HOST")}:6379`,
    "user:hunter2@localhost:6379",
    "redis://user:hunter2@two@localhost:0",
    "redis://localhost:0?password=hunter2",
  ];
  for (const url of urls) assert.doesNotMatch(problemOf(url), /hunter2/, url);
});

test("credentials are hidden whatever they are made of, and the rest is kept", () => {
  const secret = fc.string({ minLength: 8, maxLength: 20 }).filter((text) => !/[\s/?#&=*]/.test(text));
  fc.assert(
    fc.property(secret, (password) => {
      const shown = redacted(`redis://user:${password}@redis.example.com:6379/0`);
      assert.equal(shown, "redis://***:***@redis.example.com:6379/0");
    }),
  );
  assert.equal(redacted("redis://localhost:6379"), "redis://localhost:6379");
  assert.equal(redacted("redis://token@host"), "redis://***@host");
});
