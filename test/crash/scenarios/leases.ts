import { setTimeout as delay } from "node:timers/promises";
import { GROUP, laneKeys } from "../../../streams/keys.ts";
import { isLedgerEvent } from "../../../streams/ledger.ts";
import { readJournal } from "../journal.ts";
import { readLedger } from "../oracle.ts";
import type { Scenario, Stage } from "../scenario.ts";

/** A handler blocks the event loop for several leases: the beat thread keeps its worker alive. */
export const blockedLoop: Scenario = {
  name: "blocked-loop",
  what: "handlers block the event loop for three leases: neither redelivered nor lost",
  sizes: { ladder: 4, small: 2 },
  allowedDuplicates: () => 0,
  async play(stage) {
    await stage.workers(2, { concurrency: 1 });
    await stage.produce(stage.size, { ms: 6_000, kind: "block" });
    await stage.endings(stage.size);
  },
};

/** A handler blocks past its deadline: that is where the beat thread gives up. */
export const blockedPastDeadline: Scenario = {
  name: "blocked-past-deadline",
  what: "handlers block the event loop past their deadline and past the lease: others take over, and the late result is refused",
  sizes: { ladder: 3, small: 1 },
  allowedDuplicates: (size) => 2 * size,
  async play(stage) {
    const options = { concurrency: 1, lease: "1s" };
    await stage.workers(stage.size + 1, options); // one that is free
    await stage.produce(stage.size, { ms: 6_000, kind: "block_first", timeoutMs: 500 });
    await stage.endings(stage.size);
    await waitFor(stage, "run.fenced", 1);
  },
};

/** A worker is frozen past its lease, and thaws: its late results are refused. */
export const frozen: Scenario = {
  name: "frozen",
  what: "SIGSTOP for three leases, then SIGCONT: what others finished is not written again",
  sizes: { ladder: 2_000, small: 300 },
  allowedDuplicates: () => 2 * 20,
  async play(stage) {
    const [first] = await stage.workers(2, { concurrency: 20 });
    const produced = stage.produce(stage.size, { ms: 50 });
    await stage.begun();
    await delay(200);
    first?.signal("SIGSTOP");
    await delay(6_000);
    first?.signal("SIGCONT");
    stage.healed();
    await produced;
    await stage.endings(stage.size);
  },
};

/** What a frozen worker held goes to another one and comes back, while the handlers of the first delivery still run. */
export const ownZombie: Scenario = {
  name: "own-zombie",
  what: "a worker is frozen, another takes what it held and hands it back, and the first gets it again while its old handlers still run: their results are refused",
  sizes: { ladder: 5, small: 4 },
  allowedDuplicates: (size) => 2 * size,
  async play(stage) {
    const slow = { lease: "1s", concurrency: stage.size, maxDeliveries: 20 };
    const [first] = await stage.workers(1, slow);
    await stage.produce(stage.size, { ms: 6_000, kind: "deaf" });
    await delay(500); // into the handlers
    first?.signal("SIGSTOP");
    const [second] = await stage.workers(1, { ...slow, shutdownGrace: "1ms" });
    await waitFor(stage, "run.redelivered", 1);
    second?.signal("SIGTERM");
    await second?.ended;
    first?.signal("SIGCONT");
    stage.healed();
    await stage.endings(stage.size);
  },
  async check({ journals }) {
    const tokens = new Map<string, Set<string>>();
    for await (const [kind, run = "", , token = "", pid] of readJournal(journals.effects)) {
      if (kind !== "start") continue;
      const held = `${run} ${pid}`;
      tokens.set(held, (tokens.get(held) ?? new Set()).add(token));
    }
    const hasCome = [...tokens.values()].some((seen) => seen.size > 1);
    return hasCome ? [] : ["no entry came back to the process that had held it"];
  },
};

/** Somebody reads from the group and registers no lease: an old tool, or a worker that was reaped and read once more. */
export const unleased: Scenario = {
  name: "no-lease",
  what: "a consumer without a lease holds half of the entries: workers adopt it, and take them over when its time has run out",
  sizes: { ladder: 500, small: 100 },
  allowedDuplicates: () => 0,
  async play(stage) {
    const { redis, size, namespace, queue } = stage;
    await stage.produce(size);
    const { tasks } = laneKeys(namespace, queue);
    await redis.xgroup("CREATE", tasks, GROUP, "0", "MKSTREAM").catch(() => {}); // there once a worker was
    await redis.xreadgroup("GROUP", GROUP, "stranger-1-abc", "COUNT", size / 2, "STREAMS", tasks, ">");
    stage.healed();
    await stage.workers(2, { concurrency: 20, maxDeliveries: 50 });
    await stage.endings(size);
  },
};

/** Wall clocks are wrong by an hour, both ways. */
export const clocksOff: Scenario = {
  name: "clocks-off",
  what: "two workers and a producer whose clocks are an hour ahead, two and another that are an hour behind: nothing changes hands, retries come when due, and the ledger keeps Redis' time",
  sizes: { ladder: 1_000, small: 200 },
  allowedDuplicates: () => 0,
  async play(stage) {
    const ahead = { CRASH_CLOCK_MS: "3600000" };
    const behind = { CRASH_CLOCK_MS: "-3600000" };
    await Promise.all([ahead, behind].map((env) => stage.workers(2, { concurrency: 10 }, env)));
    await Promise.all([ahead, behind].map((env) => stage.produce(stage.size / 2, { ms: 100, kind: "sleep" }, env)));
    await Promise.all([ahead, behind].map((env) => stage.produce(stage.size / 10, { kind: "fail_once" }, env)));
    await stage.endings(stage.size + (2 * stage.size) / 10);
  },
  async check(stage) {
    const moved = await countEvents(stage, "run.redelivered");
    let worst = 0;
    for await (const event of readLedger(stage.redis, stage.namespace, stage.queue)) {
      const at = Number(event.position?.split("/")[2]?.split("-")[0]);
      worst = Math.max(worst, Math.abs(event.at - at));
    }
    return [
      ...(moved > 0 ? [`${moved} entries changed hands, not 0`] : []),
      ...(worst > 60_000 ? [`an event is ${Math.round(worst / 1_000)} s off the time of its entry`] : []),
    ];
  },
};

async function countEvents({ redis, namespace, queue }: Stage, type: string): Promise<number> {
  let count = 0;
  for await (const event of readLedger(redis, namespace, queue))
    if (isLedgerEvent(event) && event.type === type) count += 1;
  return count;
}

async function waitFor(stage: Stage, type: string, count: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while ((await countEvents(stage, type)) < count) {
    if (performance.now() > deadline) throw new Error(`there were no ${count} of ${type} in time`);
    await delay(50);
  }
}
