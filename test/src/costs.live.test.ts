import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import type { Role } from "../../src/define/role.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";
import { laneKeys } from "../../streams/keys.ts";

// What a run costs, counted and not timed: a Redis of its own counts commands and bytes, Node counts promises and what grows old in its heap. Bounds lie a little above
// what is counted, so that a change that costs more is noticed; one that costs less should lower them. How large the batches of a worker are
// depends on how the machine's time is shared, so theirs lie at about three times of what is usual.
// TASKTRAIL_COSTS=1 npm test -- test/src/costs prints what was counted.

const RUNS = 2_000;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
let server: Awaited<ReturnType<typeof startRedis>>;
let redis: Redis;

before(async () => {
  server = await startRedis();
  redis = new Redis(server.url, { protocol: 2 });
});
after(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

/** What Redis has counted since it was last asked to forget. */
interface Counted {
  readonly calls: (command: string) => number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

async function counted(): Promise<Counted> {
  const stats = await redis.info("stats"); // before anything else is asked: its answer would be counted, too
  const commands = await redis.info("commandstats");
  const number = (text: string, pattern: string) => Number(new RegExp(`^${pattern}(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return {
    calls: (command) => number(commands, `cmdstat_${command}:calls=`),
    bytesIn: number(stats, "total_net_input_bytes:"),
    bytesOut: number(stats, "total_net_output_bytes:"),
  };
}

/** Opens what dispatches and works, and has a first run pass, so that connections, groups and scripts are there. */
async function open(namespace: string) {
  const broker = createBroker({ redis: server.url, namespace, logger: quiet });
  let left = 0;
  let all = Promise.withResolvers<void>();
  let worker: Role | undefined;
  const noop = broker.task({
    name: "noop",
    input: z.object({ n: z.number() }),
    async run() {
      left -= 1;
      if (left === 0) all.resolve();
    },
  });
  await noop.kiqMany([{ n: 1 }]);
  const { tasks, events } = laneKeys(namespace, "default");
  return {
    noop,
    /** Works until so many runs have begun. */
    async work(count: number) {
      left = count;
      all = Promise.withResolvers();
      if (worker === undefined) {
        worker = createWorker(broker, { concurrency: 100 });
        worker.run().catch(console.error);
      }
      await all.promise;
    },
    async stop() {
      await worker?.stop();
      worker = undefined;
    },
    settled: async () => {
      while ((await redis.xlen(tasks)) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    ledgerLength: () => redis.xlen(events),
    close: () => broker.close(),
  };
}

/** What a program counts that runs without a loader: what transforms TypeScript on the way has costs of its own. */
async function countedBy<What extends string>(program: string, ...flags: string[]): Promise<Record<What, number>> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const child = fork(path, [server.url], { execArgv: ["--conditions=tasktrail-source", ...flags] });
  const [found] = await once(child, "message");
  await once(child, "exit");
  return found as Record<What, number>;
}

function atMost(what: string, found: number, bound: number): void {
  assert.ok(found <= bound, `${what}: ${found.toFixed(3)}, and at most ${bound} is allowed`);
  if (process.env.TASKTRAIL_COSTS !== undefined) console.log(`${what}: ${found.toFixed(3)} (at most ${bound})`);
}

test("dispatching a hundred runs at once is one script call and one ledger entry", async () => {
  const opened = await open("many");
  const inputs = Array.from({ length: 100 }, (_, n) => ({ n }));
  const inBulk = () => opened.noop.kiqMany(inputs);
  const inOneTick = () => Promise.all(inputs.map((input) => opened.noop.kiq(input)));
  for (const dispatch of [inBulk, inOneTick]) {
    const entries = await opened.ledgerLength();
    await redis.config("RESETSTAT");
    await dispatch();
    const { calls, bytesIn, bytesOut } = await counted();
    assert.deepEqual([calls("evalsha"), calls("eval"), calls("xadd")], [1, 0, 101]);
    assert.equal(await opened.ledgerLength(), entries + 1);
    atMost("bytes sent per run", bytesIn / 100, 175);
    atMost("bytes received per run", bytesOut / 100, 24);
  }
  await opened.close();
});

test("a lone dispatch is one script call of two writes", async () => {
  const opened = await open("lone");
  await redis.config("RESETSTAT");
  await opened.noop.kiq({ n: 1 });
  const { calls, bytesIn, bytesOut } = await counted();
  assert.deepEqual([calls("evalsha"), calls("eval"), calls("xadd")], [1, 0, 2]);
  atMost("bytes sent", bytesIn, 680);
  atMost("bytes received", bytesOut, 110);
  await opened.close();
});

test("working a backlog costs few script calls, few ledger entries, and no command per run", async () => {
  const opened = await open("work");
  const fill = (count: number) => opened.noop.kiqMany(Array.from({ length: count }, (_, n) => ({ n })));
  await fill(RUNS - 1);
  const entries = await opened.ledgerLength();
  await redis.config("RESETSTAT");
  await opened.work(RUNS);
  await opened.settled();
  const { calls, bytesIn, bytesOut } = await counted();
  const per = (count: number) => count / RUNS;
  atMost("script calls per run", per(calls("evalsha") + calls("eval")), 0.08);
  atMost("reads per run", per(calls("xreadgroup")), 0.08);
  atMost("acknowledging commands per run", per(calls("xack") + calls("xdel")), 0.15);
  atMost("ledger entries per run", per((await opened.ledgerLength()) - entries), 0.08);
  atMost("bytes sent per run", per(bytesIn), 330);
  atMost("bytes received per run", per(bytesOut), 180);
  await opened.stop();
  await opened.close();
});

test("a run makes few promises", async () => {
  const found = await countedBy<"bulk" | "tick" | "lone" | "work">("./promises-program.ts");
  atMost("promises per run dispatched in bulk", found.bulk, 0.3);
  atMost("promises per run dispatched in one tick", found.tick, 2.5);
  atMost("promises of a lone dispatch", found.lone, 15);
  atMost("promises per run that is worked", found.work, 3);
});

test("what a run is made into stays young", async () => {
  const found = await countedBy<"dispatched" | "worked">("./young-program.ts", "--expose-gc");
  atMost("bytes that grow old, per run that is dispatched", found.dispatched, 100);
  atMost("bytes that grow old, per run that is worked", found.worked, 100);
});
