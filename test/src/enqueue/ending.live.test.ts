import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import { run } from "../../../src/dev/run.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { root } from "../../support/modules.ts";
import { testNamespace, testRedis } from "../../support/servers.ts";

interface Said {
  readonly code: number;
  /** What it printed, each line read as JSON. */
  readonly lines: readonly Record<string, unknown>[];
}

/** Runs the script until it ends by itself. */
async function script(
  what: string,
  url: string,
  { namespace = testNamespace(), timeout = "5s" }: { namespace?: string; timeout?: string } = {},
): Promise<Said> {
  const args = [join(root, "test/src/enqueue/script.ts"), what, namespace, timeout];
  const { code, output } = await run(process.execPath, args, {
    capture: true,
    env: { ...process.env, REDIS_URL: url },
  });
  const lines = output.trim().split("\n");
  try {
    return { code, lines: lines.map((line) => JSON.parse(line)) };
  } catch {
    throw new Error(`the script printed what is no JSON:\n${output}`);
  }
}

function aliveForMs({ lines }: Said): number {
  return lines.at(-1)?.aliveForMs as number;
}

/** A port at which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

test("a script that dispatches ends by itself", async () => {
  const said = await script("dispatch", await testRedis());
  assert.deepEqual([said.code, said.lines[0]], [0, { isNew: true }]);
  assert.ok(aliveForMs(said) < 4_000, `it was alive for ${aliveForMs(said)} ms`);
});

test("a script that does not wait for its dispatch still gets it out before it ends", async () => {
  const namespace = testNamespace();
  const url = await testRedis();
  const { code } = await script("forget", url, { namespace });
  const redis = new Redis(url);
  assert.deepEqual([code, await redis.xlen(laneKeys(namespace, "default").tasks)], [0, 1]);
  redis.disconnect();
});

test("a script that has asked for a result, and did not get one, ends by itself", async () => {
  const said = await script("result", await testRedis());
  assert.equal(said.code, 0);
  assert.equal(said.lines[0]?.code, "result_timeout");
  assert.ok(aliveForMs(said) < 4_500, `it was alive for ${aliveForMs(said)} ms`);
});

test("a script whose Redis is gone is told so in time, and ends by itself", async () => {
  const said = await script("dispatch", `redis://127.0.0.1:${await freePort()}`, { timeout: "700ms" });
  assert.equal(said.code, 0);
  const { code, ambiguous, sent, message, afterMs } = said.lines[0] as Record<string, number>;
  assert.deepEqual({ code, ambiguous, sent }, { code: "enqueue_failed", ambiguous: false, sent: 0 });
  assert.match(String(message), /did not take it within 700 ms \(connect ECONNREFUSED/);
  assert.ok((afterMs as number) >= 690 && (afterMs as number) < 2_500, `it was told after ${afterMs} ms`);
  assert.ok(
    aliveForMs(said) - (afterMs as number) < 300,
    `it lived on for ${aliveForMs(said) - (afterMs as number)} ms`,
  );
});

test("a script whose Redis takes connections and says nothing is told so in time, and ends by itself", async () => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
  await once(mute, "listening");
  const said = await script("dispatch", `redis://127.0.0.1:${(mute.address() as { port: number }).port}`, {
    timeout: "700ms",
  });
  for (const socket of sockets) socket.destroy();
  mute.close();
  assert.equal(said.code, 0);
  const { code, ambiguous, afterMs } = said.lines[0] as Record<string, number>;
  assert.deepEqual({ code, ambiguous }, { code: "enqueue_failed", ambiguous: false });
  assert.ok(
    aliveForMs(said) - (afterMs as number) < 300,
    `it lived on for ${aliveForMs(said) - (afterMs as number)} ms`,
  );
});

test("a script that is refused by Redis is told why, and not that time ran out", async () => {
  await using redis = await startRedis();
  const url = new URL(redis.url);
  url.password = "wrong";
  const said = await script("dispatch", url.href);
  assert.equal(said.code, 0);
  const { code, message } = said.lines[0] as Record<string, string>;
  assert.equal(code, "enqueue_failed");
  assert.match(String(message), /does not let us in \(.*WRONGPASS/); // and not that it did not answer in time
});
