import { setTimeout as delay } from "node:timers/promises";
import { isLedgerEvent } from "../../../streams/ledger.ts";
import { readLedger } from "../oracle.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

/** Workers of the version before, which do not know the task `fresh`. */
const OLD = { CRASH_TASKS: "work" };

/** Producers are ahead of the workers, which are replaced one after the other. */
export const rollingDeploy: Scenario = {
  name: "rolling-deploy",
  what: "half of the runs are of a task that no worker knows at first; workers are replaced one by one: they wait, use no attempt up, and are worked",
  sizes: { ladder: 2_000, small: 200 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const old = await stage.workers(3, {}, OLD);
    const half = Math.floor(stage.size / 2);
    const produced = Promise.all([
      stage.produce(half, { ms: 5, inFlight: 20, pauseMs: 50 }),
      stage.produce(half, { ms: 5, inFlight: 20, pauseMs: 50, task: "fresh" }),
    ]);
    for (const worker of old) {
      await delay(stage.random.between(500, 1_000));
      await stage.workers(1);
      worker.signal("SIGTERM");
      await worker.ended;
    }
    await produced;
    stage.healed();
    await stage.endings(2 * half);
  },
  async check(stage) {
    let deferred = 0;
    let laterAttempts = 0;
    for await (const event of readLedger(stage.redis, stage.namespace, stage.queue)) {
      if (!isLedgerEvent(event)) continue;
      if (event.type === "run.deferred") deferred += 1;
      if (event.type === "run.started" && event.attempt > 1) laterAttempts += 1;
    }
    stage.remark(`${deferred} times put off`);
    return [
      ...(deferred === 0 ? ["no run had to wait for a worker that knows it"] : []),
      ...(laterAttempts > 0 ? [`${laterAttempts} attempts were used up`] : []),
    ];
  },
};

/** Nobody ever comes that knows the task. */
export const unknownTask: Scenario = {
  name: "unknown-task",
  what: "runs of a task that no worker ever knows die as such once their time is over, and the others do not wait for them",
  sizes: { ladder: 400, small: 60 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  expectedDead: (size) => Math.floor(size / 2),
  async play(stage) {
    await stage.workers(2, { unknownTaskGrace: "3s" }, OLD);
    const half = Math.floor(stage.size / 2);
    await stage.produce(half, { task: "fresh" });
    await stage.produce(half, { ms: 5 });
    await stage.endings(2 * half);
  },
};

const CASES = [
  { name: "evicting", says: /evicts keys.*maxmemory-policy allkeys-lru/ },
  { name: "wrong password", says: /refuses the login.*check user and password/ },
  { name: "too few rights", says: /not do all that a worker does.*XREADGROUP: grant \+xreadgroup/ },
] as const;

/** A worker does not start where it could not keep its promise, and says why. */
export const refusedStarts: Scenario = {
  name: "refused-starts",
  what: "workers are started on a Redis that evicts, with a wrong password, and with a user that may not XREADGROUP: none starts, each says which, and all is well once it is mended",
  sizes: { ladder: 100, small: 20 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const { redis, server } = stage;
    await redis.call("ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all", "-xreadgroup");
    const as = (username: string, password: string) => Object.assign(new URL(server.url), { username, password }).href;
    const urls = [server.url, as("default", "wrong"), as("weak", "pw")];
    for (const [index, { name, says }] of CASES.entries()) {
      const isEvicting = index === 0;
      await redis.config("SET", "maxmemory", isEvicting ? "100mb" : "0");
      await redis.config("SET", "maxmemory-policy", isEvicting ? "allkeys-lru" : "noeviction");
      await expectRefusal(stage, { name, says, url: urls[index] as string });
    }
    await stage.workers(1);
    await stage.produce(stage.size);
    await stage.endings(stage.size);
  },
};

interface Refusal {
  readonly name: string;
  readonly says: RegExp;
  readonly url: string;
}

async function expectRefusal(stage: Stage, { name, says, url }: Refusal): Promise<void> {
  const worker = stage.cast.start("refused", { REDIS_URL: url });
  const code = await Promise.race([worker.ended, delay(20_000, "nothing, and goes on", { ref: false })]);
  await worker.kill();
  if (code !== 78) stage.note(`${name}: the worker ended with ${code}, not 78`);
  await worker.says("refused ").then(
    (line) => says.test(line) || stage.note(`${name}: it said "${line}"`),
    () => stage.note(`${name}: it said nothing`),
  );
}
