import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { testDatabase, testNamespace, testRedis } from "../support/servers.ts";

/** Runs an example as a user would, and gives back what it printed. */
async function runExample(name: string): Promise<string[]> {
  const child = spawn(process.execPath, ["--conditions=tasktrail-source", join(import.meta.dirname, name)], {
    env: {
      ...process.env,
      REDIS_URL: await testRedis(),
      DATABASE_URL: await testDatabase(),
      TASKTRAIL_NAMESPACE: testNamespace(),
      LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  assert.equal(code, 0, errors);
  return output.trim().split("\n");
}

/** What an example says that it prints: the comments behind and below its calls of console.log. */
function announced(name: string): string[] {
  const source = readFileSync(join(import.meta.dirname, name), "utf8");
  return [...source.matchAll(/console\.log\(.*\);(?: \/\/ (.*)|\n\/\/ (.*))/g)].map(
    ([, behind, below]) => (behind ?? below) as string,
  );
}

for (const name of [
  "first-task.ts",
  "contract.ts",
  "dispatch.ts",
  "schedules.ts",
  "fencing.ts",
  "outbox.ts",
  "topics.ts",
  "inbox.ts",
]) {
  test(`${name} ends by itself, and prints what its comments say`, { timeout: 60_000 }, async () => {
    const expected = announced(name);
    assert.ok(expected.length > 0);
    assert.deepEqual(await runExample(name), expected);
  });
}
