// biome-ignore-all lint: only the types of it are looked at
// The example of the manual.
import { createBroker, cron } from "tasktrail";
import { getDbSession, getEventPublisher, getLogger, getRedis } from "tasktrail/deps";
import { z } from "zod";

export const broker = createBroker(); // REDIS_URL, DATABASE_URL, or options

export const sendWelcomeEmail = broker.task({
  name: "send_welcome_email",
  input: z.object({ userId: z.string() }),
  deps: { db: getDbSession, logger: getLogger, redis: getRedis, events: getEventPublisher },
  retry: { attempts: 5, backoff: "exponential" },
  timeout: "30s",
  async run({ userId }, { db, logger, redis, events }, run) {
    userId.toUpperCase();
    logger.info({ run: run.id }, "hi");
    redis;
    events;
    db;
    run.signal.throwIfAborted();
  },
});

export const syncExternalData = cron(broker, "0 */6 * * *", {
  name: "sync_external_data",
  lockTtl: 300, // seconds, or "5m"
  deps: { db: getDbSession, logger: getLogger },
  async run(slot, { db, logger }) {
    db;
    logger.info({ at: slot.at.toISOString() }, "sync");
  },
});

export async function anywhere() {
  const run = await sendWelcomeEmail.kiq({ userId: "abc123" }); // returns as soon as Redis has it
  await sendWelcomeEmail.with({ delay: "10m", key: "welcome:abc123" }).kiq({ userId: "abc123" });
  await sendWelcomeEmail.kiqMany([{ userId: "a" }, { userId: "b" }]);
  await run.result({ timeout: "10s" });
}
