import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { createPool, type DatabasePool } from "slonik";
import { createProjector, createScheduler, createWorker, type Role } from "tasktrail";
import { migrate } from "../../../sql/migrate.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { broker } from "./broker.ts";
import { watchInbox, writeSampleCsv } from "./inbox.ts";
import { startMailCatcher } from "./mail-catcher.ts";
import { narrate } from "./narrator.ts";
import "./process-upload.ts";
import { sendWelcomeEmail } from "./send-welcome-email.ts";
import { summarise } from "./summary.ts";
import { type Supplier, startSupplier } from "./supplier.ts";
import { syncExternalData } from "./sync-external-data.ts";
import { addUsers, createTables } from "./tables.ts";

/** What the demonstration is given. */
export interface DemoOptions {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Where mail is kept and CSV files are dropped. */
  readonly folder: string;
  readonly print: (line: string) => void;
}

const UPLOAD_ROWS = 5_000;

/** Runs the shop with a worker, a scheduler and a projector in this process, until the signal is aborted; then prints what was done. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const { print } = options;
  await using mail = await startMailCatcher(join(options.folder, "mail"));
  await using supplier = await startSupplier();
  Object.assign(process.env, {
    REDIS_URL: options.redisUrl,
    DATABASE_URL: options.databaseUrl,
    SHOP_SMTP_URL: mail.url,
    SHOP_CATALOG_URL: supplier.url,
  });
  process.env.LOG_LEVEL ??= "fatal"; // the story below tells of failures in its own words
  const pool = await createPool(options.databaseUrl, { maximumPoolSize: 3 });
  await migrate(pool);
  await createTables(pool);
  const inbox = join(options.folder, "inbox");
  await mkdir(inbox, { recursive: true });
  const story = await tellStory(options);
  try {
    await work(options, { supplier, pool, inbox }, signal);
  } finally {
    await story.end();
    for (const line of ["", "In all, this start and those before it:", ...(await summarise(pool))]) print(line);
    await broker.close();
    await pool.end();
  }
}

/** Has the roles, the inbox and the scenes at work until the signal is aborted and all is drained. */
async function work(options: DemoOptions, stage: Stage, signal: AbortSignal): Promise<void> {
  const roles = [
    createWorker(broker, { concurrency: 8, shutdownGrace: "5s" }),
    createScheduler(broker),
    createProjector(broker),
  ];
  try {
    await Promise.all([
      ...roles.map((role) => role.run(signal)),
      watchInbox(stage.inbox, signal),
      unlessAborted(scenes(options, stage, signal), signal),
    ]);
  } finally {
    await settleDown(roles);
  }
}

/** Follows the ledger on a connection of its own, from now on. */
async function tellStory({ redisUrl, print }: DemoOptions): Promise<{ end(): Promise<void> }> {
  const namespace = process.env.TASKTRAIL_NAMESPACE || "tasktrail";
  const over = new AbortController();
  const follower = new Redis(redisUrl, { protocol: 2 });
  const last = await follower.xrevrange(laneKeys(namespace, "default").events, "+", "-", "COUNT", 1);
  const from = last[0]?.[0] ?? "0-0";
  const story = narrate(follower, { namespace, queue: "default", from, print }, over.signal);
  return {
    async end() {
      over.abort();
      await story.catch(() => {});
      follower.disconnect();
    },
  };
}

/** Waits for something, but not longer than until the signal is aborted. */
async function unlessAborted(something: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  const isOver = () => signal.aborted;
  await Promise.race([
    promise,
    something.catch((error: unknown) => {
      if (!isOver()) throw error; // once the shop closes, its last dispatches may fail
    }),
  ]);
}

async function settleDown(roles: readonly Role[]): Promise<void> {
  await Promise.allSettled(roles.map((role) => role.stop()));
}

interface Stage {
  readonly supplier: Supplier;
  readonly pool: DatabasePool;
  readonly inbox: string;
}

/** Seeds some work, each kind once: welcomes, an upload, and the cron as it succeeds, is skipped, and fails. */
async function scenes({ print }: DemoOptions, { supplier, pool, inbox }: Stage, signal: AbortSignal): Promise<void> {
  const users = ["Ada", "Grace", "Edsger"].map((name) => ({
    id: name.toLowerCase(),
    name,
    email: `${name.toLowerCase()}@people.example`,
  }));
  await addUsers(pool, users);
  await sendWelcomeEmail.kiqMany(users.map(({ id }) => ({ userId: id })));
  await sendWelcomeEmail.with({ delay: "3s" }).kiq({ userId: "ada" });
  await writeSampleCsv(join(inbox, "products.csv"), UPLOAD_ROWS);

  // Two at once: the first is slow, and the second finds its lock held.
  supplier.behave({ delayMs: 1_500 });
  const first = await syncExternalData.trigger();
  const second = await syncExternalData.trigger();
  await Promise.allSettled([first.result(), second.result()]);
  if (signal.aborted) return;

  supplier.behave({ isDown: true });
  await (await syncExternalData.trigger())
    .result()
    .catch((error: Error) => print(`            (as planned: ${error.message})`));
  if (signal.aborted) return;

  supplier.behave({});
  supplier.movePrices();
  await (await syncExternalData.trigger()).result().catch(() => {});
  await keepMoving(supplier, signal);
}

/** Lets the supplier's prices move now and then, so that each sync finds something. */
async function keepMoving(supplier: Supplier, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(10_000, undefined, { signal }).catch(() => {});
    supplier.movePrices();
  }
}
