import { createBroker, createWorker, cron } from "tasktrail";
import { getRedis } from "tasktrail/deps";

const broker = createBroker();

// #region fencing
// Keeps what is newest by slot, and by token within one slot; whoever comes with less is late, and refused.
const KEEP_NEWEST = `
  local slot, token = unpack(redis.call("hmget", KEYS[1], "slot", "token"))
  local isLate = slot and (tonumber(ARGV[1]) < tonumber(slot) or ARGV[1] == slot and tonumber(ARGV[2]) < tonumber(token))
  if not isLate then redis.call("hset", KEYS[1], "slot", ARGV[1], "token", ARGV[2], "offers", ARGV[3]) end
  return isLate and 0 or 1`;

const syncOffers = cron(broker, "0 */6 * * *", {
  name: "sync_offers",
  lockTtl: "5m",
  deps: { redis: getRedis },
  async run(slot, { redis }, run) {
    const offers = JSON.stringify([`read for ${slot.trigger}`]); // this may take longer than the lock lives
    const kept = await redis.eval(KEEP_NEWEST, 1, "{shop}:offers", slot.at.getTime(), run.fencingToken, offers);
    return kept === 1 ? "kept" : "late";
  },
});
// #endregion

await using worker = createWorker(broker);
const working = worker.run();
const run = await syncOffers.trigger();
console.log(await run.result()); // kept
// A run of an older slot that has slept through its lock, and wakes up now:
const yesterday = new Date(Date.now() - 86_400_000);
console.log(await syncOffers.call({ at: yesterday })); // late
await worker.stop();
await working;
