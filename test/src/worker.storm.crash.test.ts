import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import type { Role } from "../../src/define/role.ts";
import { isEnding } from "../../streams/events.ts";
import { eventually } from "../support/servers.ts";
import { openWork } from "../support/work.ts";

/** A small generator with a seed (mulberry32), so that a storm can be played again. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test("workers that come and go, among failures, retries, delays, timeouts and cancels: one legal ending for each run", async (t) => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 1e9));
  t.diagnostic(`seed ${seed}`);
  const random = createRandom(seed);
  await using work = await openWork();
  const stormy = work.broker.task({
    name: "stormy",
    input: z.object({ ms: z.number(), fate: z.enum(["succeed", "fail", "flaky", "hang", "sync"]) }),
    retry: { attempts: 3, delay: "20ms", jitter: 1 },
    timeout: "400ms",
    run({ ms, fate }, _deps, run): void | Promise<void> {
      if (fate === "sync") return;
      return new Promise((resolve, reject) => {
        if (fate === "hang") return;
        run.signal.addEventListener("abort", () => reject(run.signal.reason));
        setTimeout(() => {
          if (fate === "fail" || (fate === "flaky" && run.attempt === 1)) reject(new Error(fate));
          else resolve();
        }, ms);
      });
    },
  });
  const fates = ["succeed", "succeed", "sync", "sync", "flaky", "fail", "hang"] as const;
  const options = { lease: "1s", shutdownGrace: "50ms", concurrency: 15 } as const;
  const workers: Role[] = [work.work(options), work.work(options)];
  const runs: string[] = [];
  for (let round = 0; round < 40; round += 1) {
    const inputs = Array.from({ length: 25 }, () => ({
      ms: Math.floor(random() * 60),
      fate: fates[Math.floor(random() * fates.length)] as (typeof fates)[number],
    }));
    const sent = random() < 0.3 ? stormy.with({ delay: `${Math.floor(random() * 500)}ms` }) : stormy;
    const handles = await sent.kiqMany(inputs);
    runs.push(...handles.map(({ id }) => id));
    for (const handle of handles) if (random() < 0.1) void handle.cancel().catch(() => {});
    if (random() < 0.3) void workers.shift()?.stop();
    if (workers.length < 3) workers.push(work.work(options));
    await new Promise((resolve) => setTimeout(resolve, 30)); // the storm takes its time
  }
  await work.ledger.ended(runs, 60_000);
  const { redis, keys } = work;
  await eventually(async () => (await redis.xlen(keys.tasks)) + (await redis.xlen(keys.again)) === 0, {
    timeoutMs: 20_000,
  });
  const endings = (await work.ledger.events()).filter((event) => isEnding(event.type) && "run" in event);
  assert.equal(endings.length, runs.length);
  assert.equal(new Set(endings.map((event) => (event as { run: string }).run)).size, runs.length);
  assert.equal(await redis.hlen(keys.scheduledEntries), 0);
  assert.equal(await redis.hlen(keys.strikes), 0);
  const expected = /has failed|has died|taken over|fetched again|refused|lease/;
  assert.deepEqual(
    work.complaints.filter((one) => !expected.test((one as { message?: string }).message ?? "")),
    [],
  );
});
