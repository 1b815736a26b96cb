import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { newIncarnation, openLane } from "../../../streams/lane.ts";
import { eventually, testNamespace, testRedis } from "../../support/servers.ts";
import { outcomeOf } from "./rig.ts";

const MINUTE = 60_000;
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Stops a process for longer than a firing lock lives, and lets it go on with what it was about to do. */
async function stopFor(child: ChildProcess, ms: number): Promise<void> {
  child.kill("SIGSTOP");
  await delay(ms);
  child.kill("SIGCONT");
  await delay(50);
}

test("schedulers that are stopped and killed at any moment, and started again, leave no gap and no double", async () => {
  const [speed, url, namespace] = [600, await testRedis(), testNamespace()];
  const [startMs, epochMs] = [Date.parse("2026-03-01T00:00:30Z"), Date.now()];
  const start = (): ChildProcess => {
    const program = join(import.meta.dirname, "scheduler-process.ts");
    const args = [url, namespace, startMs, epochMs, speed].map(String);
    const child = spawn(process.execPath, [program, ...args], {
      stdio: "inherit",
      env: { ...process.env, LOG_LEVEL: "warn" },
    });
    children.add(child);
    return child;
  };
  const redis = new Redis(url);
  const lane = openLane({ redis, namespace, queue: "default", incarnation: newIncarnation() });
  const alive = [start(), start()];
  await eventually(async () => (await outcomeOf(lane)).fired.length > 3, { timeoutMs: 20_000 });
  for (let kills = 0; kills < 8; kills += 1) {
    // Drawn so that they are killed between lock and record, between slots, and while others are just starting.
    await delay(200 + Math.random() * 500);
    const victim = alive.shift() as ChildProcess;
    if (kills % 2 === 1) await stopFor(victim, 1_300);
    victim.kill("SIGKILL");
    await once(victim, "exit");
    alive.push(start());
  }
  const reached = startMs + (Date.now() - epochMs) * speed;
  const isPast = async () => ((await outcomeOf(lane)).fired.at(-1) ?? 0) > reached;
  await eventually(isPast, { timeoutMs: 20_000 });
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(Array.from(alive, (child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));

  const { fired, entries, events } = await outcomeOf(lane);
  const first = fired[0] as number;
  assert.deepEqual(
    fired,
    fired.map((_, index) => first + index * MINUTE),
  );
  assert.equal(new Set(entries.map(({ run }) => run)).size, fired.length);
  assert.equal(entries.length, fired.length);
  assert.equal(events.filter(({ type }) => type === "schedule.upserted").length, 1);
  assert.ok(fired.length > 40, `only ${fired.length} slots`);
  redis.disconnect();
});
