import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { startRedis } from "../../src/dev/start-redis.ts";

const PROGRAM = `
  import { createBroker, createWorker } from "tasktrail";
  import { z } from "zod";
  const broker = createBroker({ enqueueTimeout: "1s" });
  const pay = broker.task({ name: "pay", input: z.object({ card: z.string() }), run() {} });
  await pay.kiq({ card: "canary-input" }).catch((error) => console.error(error.message));
  await createWorker(broker).run(AbortSignal.timeout(500)).catch((error) => console.error(error.message));
  await broker.close();
`;

/** What a program prints that dispatches to, and works, a Redis that refuses it. */
async function printed(url: string): Promise<string> {
  const child = spawn(
    process.execPath,
    ["--conditions=tasktrail-source", "--import", "tsx", "--input-type=module", "--eval", PROGRAM],
    { env: { ...process.env, REDIS_URL: url, LOG_LEVEL: "debug" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return out + errors;
}

test("neither a refused password nor the input of a refused dispatch is printed", { timeout: 60_000 }, async () => {
  await using redis = await startRedis();
  const refused = new URL(redis.url);
  refused.password = "canary-password";
  const login = await printed(refused.href);
  assert.match(login, /WRONGPASS/);
  assert.doesNotMatch(login, /canary/);

  await using full = await startRedis({ args: ["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"] });
  const dispatch = await printed(full.url);
  assert.match(dispatch, /OOM|memory/i);
  assert.doesNotMatch(dispatch, /canary/);
});
