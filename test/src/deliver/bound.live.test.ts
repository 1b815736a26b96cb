import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { boundLedger } from "../../../streams/leases.ts";
import { encodeHeader } from "../../../streams/ledger.ts";
import { connect, freshLane } from "../../streams/live-lane.ts";

const server = await startRedis({ args: ["--stream-node-max-entries", "1"] });
const redis = await connect(server.url);
after(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

test("a ledger that nobody archives stays within its bound, the latest of it; one that is archived is left alone", async () => {
  const lane = await freshLane(redis);
  const { events, meta } = lane.keys;
  let last: string | null = null;
  for (let call = 1; call <= 200; call += 1) {
    const header = encodeHeader({ incarnation: "p", call, clockOffsetMs: 0 }, { queue: "default" });
    last = await redis.xadd(events, "*", "h", header, "n", 1, "events", "x".repeat(1_000));
  }
  const size = async () => Number(await redis.memory("USAGE", events));
  const whole = await size();
  assert.equal(await boundLedger(lane, whole * 2), 0);
  await redis.hset(meta, "archived", "0-0");
  assert.equal(await boundLedger(lane, whole / 4), 0);
  await redis.hdel(meta, "archived");
  assert.ok((await boundLedger(lane, whole / 4)) > 100);
  assert.ok((await size()) < whole / 2);
  assert.equal((await redis.xrevrange(events, "+", "-", "COUNT", 1))[0]?.[0], last);
});
