import { setTimeout as delay } from "node:timers/promises";
import { GROUP, laneKeys } from "../../../streams/keys.ts";
import { isLedgerEvent } from "../../../streams/ledger.ts";
import { readJournal } from "../journal.ts";
import { readLedger } from "../oracle.ts";
import type { Refused } from "../programs/order.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 20;

/** The group, the stream, and at last everything vanishes under the workers. */
export const emptied: Scenario = {
  name: "emptied",
  what: "the consumer groups are destroyed, then the task stream is deleted, then all of Redis is emptied, each under idle workers: they go on by themselves, and say what has happened",
  sizes: { ladder: 1_500, small: 300 },
  allowedDuplicates: () => 0,
  async play(stage) {
    const { redis, namespace, queue } = stage;
    const { tasks, again } = laneKeys(namespace, queue);
    const third = Math.floor(stage.size / 3);
    const workers = await stage.workers(2, { concurrency: CONCURRENCY });
    await stage.produce(third);
    await stage.endings(third);
    for (const stream of [tasks, again]) await redis.xgroup("DESTROY", stream, GROUP);
    stage.healed();
    await stage.produce(third);
    await stage.endings(2 * third);
    await redis.del(tasks, again);
    await stage.produce(third);
    await stage.endings(3 * third);
    await redis.flushall();
    stage.forget();
    stage.healed();
    await stage.produce(third);
    await stage.endings(third);
    const hasTold = workers.some((worker) => worker.errors().some((line) => line.includes("vanished from Redis")));
    if (!hasTold) stage.note("no worker told that its queue had vanished");
  },
};

/** Dispatches meet a Redis that is frozen, and give up. */
export const frozenKiq: Scenario = {
  name: "frozen-kiq",
  what: "Redis is frozen (SIGSTOP) for three times as long as dispatches wait: those that fail say that they are ambiguous, and none of them lands after its error",
  sizes: { ladder: 400, small: 100 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const { server, size } = stage;
    await stage.produce(size / 2);
    await stage.workers(2, { concurrency: CONCURRENCY, lease: "5s" });
    const order = { tries: 1, enqueueTimeoutMs: 1_000, inFlight: 10, pauseMs: 100 };
    const produced = stage.produce(size / 2, order);
    await stage.begun();
    process.kill(server.pid, "SIGSTOP");
    await delay(3_000);
    process.kill(server.pid, "SIGCONT");
    stage.healed();
    const { refused, taken } = await produced;
    await stage.endings(size / 2 + taken);
    if (refused.length === 0) stage.note("no dispatch met the frozen Redis");
    stage.remark(`${refused.length} dispatches failed`);
    for (const what of await landedAfterwards(stage, refused)) stage.note(what);
  },
};

/** Room for two clocks and an event loop that was busy, in ms. */
const MARGIN_MS = 250;

/** What the ledger and the handlers know of dispatches that had failed, where they should not. */
async function landedAfterwards(
  { redis, namespace, queue, journals }: Stage,
  refused: readonly Refused[],
): Promise<string[]> {
  const byNumber = new Map(refused.map((one) => [String(one.n), one]));
  const wrong: string[] = [];
  for await (const event of readLedger(redis, namespace, queue)) {
    if (!isLedgerEvent(event) || event.type !== "run.enqueued") continue;
    const failed = byNumber.get(/n:(\d+)$/.exec(event.key ?? "")?.[1] ?? "");
    if (failed === undefined) continue;
    if (!failed.isAmbiguous) wrong.push(`dispatch ${failed.n} failed for certain, and is there`);
    if (event.at > failed.at + MARGIN_MS)
      wrong.push(`dispatch ${failed.n} came ${event.at - failed.at} ms after its error`);
  }
  for await (const [kind, , , , , n = ""] of readJournal(journals.effects))
    if (kind === "start" && byNumber.get(n)?.isAmbiguous === false)
      wrong.push(`dispatch ${n} failed for certain, and ran`);
  return wrong;
}
