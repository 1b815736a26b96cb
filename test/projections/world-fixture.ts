import type { TestContext } from "node:test";
import { LEDGER } from "../../projections/lane-deps.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { ensureLane, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { settle } from "../../streams/settle.ts";
import { aWorker, connect, started, succeeded, take } from "../streams/live-lane.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";
import { aPool } from "./lane-fixture.ts";

/** A lane that is projected, and a worker in it. */
export async function aWorld(t: TestContext) {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await aPool(t, where.database);
  const redis = await connect();
  t.after(() => redis.disconnect());
  await ensureLane(redis, where.namespace, "default");
  const lane = openLane({ redis, namespace: where.namespace, queue: "default", incarnation: newIncarnation() });
  await aWorker(lane, "w");
  const projected = () => isProjected(lane, pool);
  return { where, pool, redis, lane, projected };
}

/** Waits until the checkpoint stands at the ledger's last entry. */
async function isProjected(lane: Lane, pool: Awaited<ReturnType<typeof aPool>>): Promise<void> {
  await eventually(
    async () => {
      const [last] = (await lane.redis.xrevrange(lane.keys.events, "+", "-", "COUNT", 1)) as [string, string[]][];
      const checkpoint = await findCheckpoint(pool, `${lane.namespace}:default`, LEDGER);
      const life = await lane.redis.hget(lane.keys.meta, "incarnation");
      return checkpoint?.incarnation === life && last?.[0] === `${checkpoint?.ms}-${checkpoint?.seq}`;
    },
    { timeoutMs: 20_000 },
  );
}

/** Works off all that waits. */
export async function workOff(lane: Lane): Promise<string[]> {
  const deliveries = await take(lane, "w");
  for (const delivery of deliveries)
    await settle(lane, { consumer: "w", settlements: [started(delivery), succeeded(delivery)] });
  return deliveries.map(({ entry }) => entry.run);
}
