import { truncateSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Server } from "../../src/dev/server.ts";
import { isEnding } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";
import { decodeEntry, waitForEntries } from "../../streams/ledger.ts";
import { gather } from "./cast.ts";
import type { Told } from "./programs/order.ts";
import { type FaultyLink, openProxy } from "./proxy.ts";
import { seeded } from "./random.ts";
import type { Stage } from "./scenario.ts";

/** What a stage is set up on. */
export interface StageParts {
  readonly size: number;
  readonly seed: number;
  readonly server: Server;
  readonly postgres: Server | undefined;
  /** Of workers; undefined: the usual one. */
  readonly lease: string | undefined;
  /** An empty folder. */
  readonly folder: string;
}

/** A stage, and what the scenario has told of itself. */
export interface OpenStage extends AsyncDisposable {
  readonly stage: Stage;
  readonly notes: readonly string[];
  readonly remarks: readonly string[];
  readonly healedAt: readonly number[];
}

const NAMESPACE = "crash";
const QUEUE = "default";

/** Sets a stage up. When it is disposed of, all processes are killed, and links and connections closed. */
export function openStage({ size, seed, server, postgres, lease, folder }: StageParts): OpenStage {
  const redis = new Redis(server.url, { protocol: 2, connectionName: "oracle" });
  redis.on("error", () => {});
  const journals = { told: join(folder, "told"), effects: join(folder, "effects") };
  const cast = gather({
    REDIS_URL: server.url,
    TASKTRAIL_NAMESPACE: NAMESPACE,
    ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
    CRASH_EFFECTS: journals.effects,
    CRASH_TOLD: journals.told,
    ...(lease === undefined ? {} : { CRASH_LEASE: lease }),
  });
  const notes: string[] = [];
  const remarks: string[] = [];
  const healedAt: number[] = [];
  const links: FaultyLink[] = [];
  const stage: Stage = {
    ...{ size, random: seeded(seed), server, postgres, redis, namespace: NAMESPACE, queue: QUEUE, cast, journals },
    async link() {
      const proxy = await openProxy(server.port);
      links.push(proxy);
      return { proxy, env: { REDIS_URL: proxy.through(server.url) } };
    },
    ...starters(cast),
    endings: (count, withinMs = 120_000) => awaitEndings(redis, count, withinMs),
    healed: () => void healedAt.push(Date.now()),
    forget() {
      truncateSync(journals.told);
      truncateSync(journals.effects);
    },
    note: (text) => void notes.push(text),
    remark: (text) => void remarks.push(text),
  };
  return {
    ...{ stage, notes, remarks, healedAt },
    async [Symbol.asyncDispose]() {
      await cast[Symbol.asyncDispose]();
      await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
      redis.disconnect();
    },
  };
}

function starters(cast: Stage["cast"]): Pick<Stage, "workers" | "projector" | "produce" | "begun"> {
  let produced = 0;
  return {
    async workers(count, options = {}, env = {}) {
      const actors = Array.from({ length: count }, () =>
        cast.start("worker", { CRASH_WORKER: JSON.stringify(options), ...env }),
      );
      await Promise.all(actors.map((actor) => actor.says("ready")));
      return actors;
    },
    async projector() {
      const projector = cast.start("projector", {});
      await projector.says("ready");
      return projector;
    },
    async begun() {
      await cast.all.findLast(({ program }) => program === "producer")?.says("began");
    },
    async produce(count, order = {}, env = {}) {
      const first = produced;
      produced += count;
      const producer = cast.start("producer", { CRASH_ORDER: JSON.stringify({ count, first, ...order }), ...env });
      const done = await producer.says("done ");
      await producer.ended;
      return JSON.parse(done.slice("done ".length)) as Told;
    },
  };
}

/** Follows the ledger until so many runs have ended. Looks anew after Redis was away. Throws when they have not in time. */
async function awaitEndings(redis: Redis, count: number, withinMs: number): Promise<void> {
  const keys = laneKeys(NAMESPACE, QUEUE);
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
        ended += decodeEntry(entry, { queue: QUEUE, incarnation: "" }).filter((event) => isEnding(event.type)).length;
        after = entry.id;
      }
    }
  } finally {
    follower.disconnect();
  }
}
