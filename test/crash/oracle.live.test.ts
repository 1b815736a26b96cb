import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import type { EventDraft } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";
import { encodeEvents, encodeHeader } from "../../streams/ledger.ts";
import { testNamespace, testRedis } from "../support/servers.ts";
import { judge, type Verdict } from "./oracle.ts";

const RUN = "01890000-0000-7abc-8000-000000000001";
const ofRun = { run: RUN, task: "work" };
const attempt = { attempt: 1, delivery: 1, worker: "w1" };
const enqueued = { type: "run.enqueued", ...ofRun } as const;
const started = { type: "run.started", ...ofRun, ...attempt } as const;
const succeeded = { type: "run.succeeded", ...ofRun, ...attempt, durationMs: 1 } as const;
const takenOver = { type: "run.redelivered", ...ofRun, attempt: 1, delivery: 2, from: "w1", to: "w2" } as const;

/** What the oracle says of a ledger that was written by hand. */
async function verdictOn(
  events: readonly EventDraft[],
  effects: readonly string[][] = [["start", RUN, "1", "65537", "1"]],
): Promise<Verdict> {
  const namespace = testNamespace();
  const redis = new Redis(await testRedis());
  const header = encodeHeader({ incarnation: "test", call: 1, clockOffsetMs: 0 }, { queue: "default", at: 1 });
  await redis.xadd(
    laneKeys(namespace, "default").events,
    "*",
    "h",
    header,
    "n",
    events.length,
    "events",
    encodeEvents(events),
  );
  const folder = await mkdtemp(join(tmpdir(), "tasktrail-oracle-"));
  const told = join(folder, "told");
  const journal = join(folder, "effects");
  await writeFile(told, `${RUN} 1\n`);
  await writeFile(journal, effects.map((line) => `${line.join(" ")}\n`).join(""));
  const verdict = await judge({ redis, namespace, queue: "default", told, effects: journal });
  await redis.quit();
  await rm(folder, { recursive: true });
  return verdict;
}

test("a run that was told of, worked and ended is nothing to complain of", async () => {
  const { lost, doubleEndings, zombieWrites, illegal, duplicates, unexplained, leftOver } = await verdictOn([
    enqueued,
    started,
    succeeded,
  ]);
  assert.deepEqual(
    [lost, doubleEndings, zombieWrites, illegal, duplicates, unexplained, leftOver],
    [0, 0, 0, 0, 0, 0, 0],
  );
});

test("a run without an ending is lost", async () => {
  assert.equal((await verdictOn([enqueued, started])).lost, 1);
});

test("a run with two endings is seen, and so is that its history is not legal", async () => {
  const { doubleEndings, illegal } = await verdictOn([enqueued, started, succeeded, succeeded]);
  assert.deepEqual([doubleEndings, illegal], [1, 1]);
});

test("a result of a delivery that had been taken over is a zombie's", async () => {
  assert.equal(
    (await verdictOn([enqueued, started, takenOver, { ...started, delivery: 2 }, succeeded])).zombieWrites,
    1,
  );
  assert.equal(
    (await verdictOn([enqueued, started, takenOver, { ...started, delivery: 2 }, { ...succeeded, delivery: 2 }]))
      .zombieWrites,
    0,
  );
});

test("a second start of the same attempt is a duplicate, and a start of an unknown run is unexplained", async () => {
  const start = ["start", RUN, "1", "65537", "1"];
  const { duplicates, unexplained } = await verdictOn(
    [enqueued, started, succeeded],
    [start, start, ["start", "another", "1", "1", "1"]],
  );
  assert.deepEqual([duplicates, unexplained], [1, 1]);
});
