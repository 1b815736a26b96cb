import assert from "node:assert/strict";
import { test } from "node:test";
import type { Role } from "../../src/define/role.ts";
import { runRoles } from "../../src/roles.ts";

function fakeRole(name: string, log: string[], failure?: Promise<Error>): Role {
  return {
    async run(signal) {
      log.push(`${name} runs`);
      const aborted = new Promise<void>((resolve) =>
        signal?.addEventListener("abort", () => resolve(), { once: true }),
      );
      const error = await Promise.race([aborted, failure ?? new Promise<never>(() => {})]);
      if (error instanceof Error) throw error;
      log.push(`${name} drained`);
    },
    stop: async () => {},
    health: () => ({ isLive: true, isReady: true, lastReadAgeMs: 0 }),
    [Symbol.asyncDispose]: async () => {},
  };
}

test("an abort drains all roles", async () => {
  const log: string[] = [];
  const stop = new AbortController();
  const running = runRoles([fakeRole("a", log), fakeRole("b", log)], stop.signal);
  stop.abort();
  await running;
  assert.deepEqual(log, ["a runs", "b runs", "a drained", "b drained"]);
});

test("the first failure drains the others, and is told", async () => {
  const log: string[] = [];
  const failed = Promise.withResolvers<Error>();
  const running = runRoles([fakeRole("a", log, failed.promise), fakeRole("b", log)]);
  failed.resolve(new Error("no more"));
  await assert.rejects(running, /no more/);
  assert.deepEqual(log, ["a runs", "b runs", "b drained"]);
});
