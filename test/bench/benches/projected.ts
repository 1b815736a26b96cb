import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { createBroker } from "tasktrail";
import { openPool } from "../../../sql/pool.ts";
import { findCheckpoint } from "../../../sql/queries/checkpoints.ts";
import { createProjector } from "../../../src/projector.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { compareIds } from "../../../streams/ledger.ts";
import { fill } from "../backlog.ts";
import type { Bench, Figures, Setting, StartStep, StepDesk, StepInProcess } from "../bench.ts";
import { contenderNamed } from "../contenders/all.ts";
import { NAMESPACE, quiet } from "../contenders/tasktrail.ts";
import { readCosts } from "../redis-costs.ts";

const PROJECTED = "with the archive";
const TAIL_ONLY = "without it";
const BULLMQ = "BullMQ";

/** A producer, a worker and a projector, each in a process of its own, until every run is done, archived and projected. */
export const sustained: Bench = {
  name: "sustained",
  what: "dispatched in bulk, run, archived and projected: from the first dispatch until the last row, with archive and projections and without",
  contenders: [PROJECTED, TAIL_ONLY, BULLMQ],
  needs: "postgres",
  figures: [{ name: "rate", unit: "runs/s", better: "higher" }],
  steps: { work, produce, project },
  play: (setting, start) => pass(setting, start, 30_000),
};

/** What is left in Redis' memory when many runs have passed, and nothing waits. */
export const passed: Bench = {
  name: "passed",
  what: "Redis' memory after a million runs have passed, with the archive and for BullMQ, which removes what is done",
  contenders: [PROJECTED, BULLMQ],
  needs: "postgres",
  isExtra: true,
  rounds: 1,
  figures: [
    { name: "memory", unit: "bytes", better: "lower" },
    { name: "rate", unit: "runs/s", better: "higher" },
  ],
  steps: { work, produce, project },
  async play(setting, start) {
    const redis = new Redis(setting.redis, { protocol: 2 });
    const before = await readCosts(redis);
    const { rate = 0 } = await pass(setting, start, 1_000_000);
    const after = await readCosts(redis);
    redis.disconnect();
    return { rate, memory: after.usedBytes - before.usedBytes };
  },
};

/** Has so many runs pass, a tenth of them before the clock starts. */
async function pass(setting: Setting, start: StartStep, full: number): Promise<Figures> {
  const count = Math.ceil(full * setting.scale);
  const roles: StepInProcess[] = [start("work")];
  if (setting.contender === PROJECTED) roles.push(start("project"));
  try {
    await Promise.all(roles.map(({ ready }) => ready));
    await start("produce", { count: Math.ceil(count / 10) }).figures;
    await isProjected(setting);
    const begun = performance.now();
    await start("produce", { count }).figures;
    await isProjected(setting);
    const rate = (count / (performance.now() - begun)) * 1_000;
    await Promise.all(roles.map((role) => role.stop()));
    return { rate };
  } finally {
    for (const role of roles) await role[Symbol.asyncDispose]();
  }
}

function contenderOf({ contender }: Setting) {
  return contenderNamed(contender === BULLMQ ? BULLMQ : "Tasktrail");
}

async function work({ setting, signal, ready }: StepDesk): Promise<Figures> {
  await using client = await contenderOf(setting).open(setting.redis, { payload: "small" });
  await using _worker = await client.work({ concurrency: 100, run: async () => {} });
  ready();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return {};
}

/** Dispatches in bulk, and waits until all are done. */
async function produce({ setting, part }: StepDesk): Promise<Figures> {
  await using client = await contenderOf(setting).open(setting.redis, { payload: "small" });
  await fill(client, { count: Number(part.count), payload: "small" });
  while ((await client.leftCount()) > 0) await delay(5);
  return {};
}

async function project({ setting, signal, ready }: StepDesk): Promise<Figures> {
  const { redis, database = "" } = setting;
  const broker = createBroker({ redis, database, namespace: NAMESPACE, logger: quiet });
  const projector = createProjector(broker);
  const running = projector.run(signal);
  while (!projector.health().isReady) await delay(20);
  ready();
  await running;
  await broker.close();
  return {};
}

/** Waits until the archive has the ledger's last entry. */
async function isProjected({ contender, redis: url, database = "" }: Setting): Promise<void> {
  if (contender !== PROJECTED) return;
  const redis = new Redis(url, { protocol: 2 });
  const pool = await openPool(database);
  const { events } = laneKeys(NAMESPACE, "default");
  try {
    for (;;) {
      const stream = (await redis.xinfo("STREAM", events)) as unknown[];
      const last = String(stream[stream.indexOf("last-generated-id") + 1]); // told whether or not the entry is still there
      const checkpoint = await findCheckpoint(pool, `${NAMESPACE}:default`, "ledger");
      if (checkpoint !== undefined && compareIds(`${checkpoint.ms}-${checkpoint.seq}`, last) >= 0) return;
      await delay(10);
    }
  } finally {
    await pool.end();
    redis.disconnect();
  }
}
