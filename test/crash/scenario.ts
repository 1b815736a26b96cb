import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Server, ServerOptions } from "../../src/dev/server.ts";
import { startPostgres } from "../../src/dev/start-postgres.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { isEnding } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";
import { decodeEntry, waitForEntries } from "../../streams/ledger.ts";
import { type Cast, gather } from "./cast.ts";
import { readJournal } from "./journal.ts";
import { judge, percentile, readLedger, takeoverTimes, type Verdict } from "./oracle.ts";
import { type Random, seeded } from "./random.ts";
import { rowsThatDiffer } from "./rows.ts";

/** A fault, and what it is done to. */
export interface Scenario {
  readonly name: string;
  /** One sentence: what is done. */
  readonly what: string;
  /** Runs, at the ladder's size and at that of `npm test`. */
  readonly sizes: { readonly ladder: number; readonly small: number };
  /** Duplicate starts that the fault explains, at most; the other marks are 0 for every scenario. */
  readonly allowedDuplicates: (size: number) => number;
  /** Runs that die by design. Default 0. */
  readonly expectedDead?: (size: number) => number;
  readonly redis?: ServerOptions;
  /** Whether a Postgres is there too. Then the rows are compared with the ledger in the end. */
  readonly hasPostgres?: boolean;
  play(stage: Stage): Promise<void>;
  /** More that must hold, beyond the invariants; each a sentence when it does not. */
  check?(stage: Stage): Promise<readonly string[]>;
}

/** What a scenario plays with. */
export interface Stage {
  readonly size: number;
  readonly random: Random;
  readonly server: Server;
  /** Only in scenarios that have one. */
  readonly postgres: Server | undefined;
  /** A connection that no fault touches. */
  readonly redis: Redis;
  readonly namespace: string;
  readonly queue: string;
  readonly cast: Cast;
  readonly folder: string;
  /** Starts workers, and waits until they work. */
  workers(count: number, options?: object, env?: Readonly<Record<string, string>>): Promise<void>;
  /** Has a producer dispatch runs; resolves when it was told of all. */
  produce(count: number, order?: object, env?: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves when this many runs have ended, by the ledger. */
  endings(count: number, withinMs?: number): Promise<void>;
  note(text: string): void;
}

/** What came of a scenario. */
export interface Report {
  readonly scenario: string;
  readonly seed: number;
  readonly size: number;
  readonly verdict: Verdict;
  readonly takeoverP50: number;
  readonly takeoverP99: number;
  /** Lines on standard error that speak of something nobody handled. */
  readonly unhandled: number;
  readonly tookMs: number;
  readonly failures: readonly string[];
}

/** Plays a scenario on a Redis of its own, and judges it. */
export async function perform(
  scenario: Scenario,
  { seed, size }: { readonly seed: number; readonly size: number },
): Promise<Report> {
  const begun = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "tasktrail-crash-"));
  const namespace = "crash";
  await using server = await startRedis(scenario.redis ?? {});
  await using postgres = scenario.hasPostgres === true ? await startPostgres({ durable: true }) : undefined;
  const redis = new Redis(server.url, { protocol: 2 });
  redis.on("error", () => {});
  await using cast = gather({
    REDIS_URL: server.url,
    TASKTRAIL_NAMESPACE: namespace,
    ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
    CRASH_EFFECTS: join(folder, "effects"),
    CRASH_TOLD: join(folder, "told"),
  });
  const notes: string[] = [];
  const stage = makeStage({
    size,
    random: seeded(seed),
    server,
    postgres,
    redis,
    namespace,
    queue: "default",
    cast,
    folder,
    note: (text) => void notes.push(text),
  });
  const failures: string[] = [];
  try {
    await scenario.play(stage);
  } catch (error) {
    failures.push(String(error));
  }
  const different = postgres === undefined ? undefined : await caughtUp(stage, postgres.url);
  const told = readJournal(join(folder, "told")).map(([run]) => run as string);
  const verdict = await judge({
    redis,
    namespace,
    queues: [stage.queue],
    told,
    effects: readJournal(join(folder, "effects")),
    projectionDifference: different?.length,
  });
  const times = takeoverTimes(await readLedger(redis, namespace, stage.queue), cast.deaths);
  const unhandled = cast.all
    .flatMap((actor) => actor.errors())
    .filter((line) => /unhandled|uncaught/i.test(line)).length;
  failures.push(
    ...notes,
    ...marksMissed(scenario, size, verdict),
    ...(unhandled > 0 ? [`${unhandled} unhandled errors`] : []),
    ...((await scenario.check?.(stage)) ?? []),
  );
  redis.disconnect();
  if (failures.length === 0) await rm(folder, { recursive: true, force: true });
  const tookMs = performance.now() - begun;
  return {
    scenario: scenario.name,
    seed,
    size,
    verdict,
    takeoverP50: percentile(times, 0.5),
    takeoverP99: percentile(times, 0.99),
    unhandled,
    tookMs,
    failures,
  };
}

/** How long a projector may take to reach the ledger's end once all is calm, in ms. */
const CATCH_UP_MS = 30_000;

/** The rows that differ once the projectors have caught up, or have had the time for it. */
async function caughtUp({ redis, namespace, queue }: Stage, databaseUrl: string): Promise<string[]> {
  const deadline = performance.now() + CATCH_UP_MS;
  for (;;) {
    const different = await rowsThatDiffer({ redis, namespace, queue, databaseUrl }).catch((error: unknown) => [
      String(error),
    ]);
    if (different.length === 0 || performance.now() > deadline) return different;
    await delay(500);
  }
}

/** The marks that a verdict misses, each as a sentence. */
function marksMissed(scenario: Scenario, size: number, verdict: Verdict): string[] {
  const zero = ["lost", "doubleEndings", "zombieWrites", "illegal", "unexplained", "leftOver"] as const;
  const missed = zero.filter((mark) => verdict[mark] !== 0).map((mark) => `${mark} is ${verdict[mark]}, not 0`);
  if ((verdict.projectionDifference ?? 0) !== 0)
    missed.push(`${verdict.projectionDifference} rows differ from the ledger`);
  const allowed = scenario.allowedDuplicates(size);
  if (verdict.duplicates > allowed) missed.push(`${verdict.duplicates} duplicate starts, and ${allowed} are explained`);
  const dead = scenario.expectedDead?.(size) ?? 0;
  if (verdict.died !== dead) missed.push(`${verdict.died} runs died, not ${dead}`);
  if (verdict.told === 0) missed.push("no run was dispatched");
  return missed;
}

function makeStage(base: Omit<Stage, "workers" | "produce" | "endings">): Stage {
  const { cast, redis, namespace, queue } = base;
  let produced = 0;
  return {
    ...base,
    async workers(count, options = {}, env = {}) {
      const actors = Array.from({ length: count }, () =>
        cast.start("worker", { CRASH_WORKER: JSON.stringify(options), ...env }),
      );
      await Promise.all(actors.map((actor) => actor.says("ready")));
    },
    async produce(count, order = {}, env = {}) {
      const first = produced;
      produced += count;
      const whole = { count, first, inFlight: 100, pauseMs: 0, ms: 0, kind: "sleep", ...order };
      const producer = cast.start("producer", { CRASH_ORDER: JSON.stringify(whole), ...env });
      await producer.says("done");
    },
    endings: (count, withinMs = 120_000) => awaitEndings(redis, { namespace, queue, count, withinMs }),
  };
}

/** Follows the ledger until so many runs have ended. Looks anew after Redis was away. Throws when they have not in time. */
async function awaitEndings(
  redis: Redis,
  {
    namespace,
    queue,
    count,
    withinMs,
  }: { readonly namespace: string; readonly queue: string; readonly count: number; readonly withinMs: number },
): Promise<void> {
  const keys = laneKeys(namespace, queue);
  const deadline = performance.now() + withinMs;
  const follower = redis.duplicate();
  follower.on("error", () => {});
  let ended = 0;
  let after = "0-0";
  try {
    while (ended < count) {
      if (performance.now() > deadline) throw new Error(`${ended} of ${count} runs had ended after ${withinMs} ms`);
      const entries = await waitForEntries(follower, keys, { id: after, count: 500, blockMs: 500 }).catch(() => []);
      for (const entry of entries) {
        ended += decodeEntry(entry, { queue, incarnation: "" }).filter((event) => isEnding(event.type)).length;
        after = entry.id;
      }
    }
  } finally {
    follower.disconnect();
  }
}
