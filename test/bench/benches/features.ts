import { Redis } from "ioredis";
import { createWorker, provider } from "tasktrail";
import { type Middleware, processMiddleware } from "../../../src/middleware.ts";
import { fill, timeBacklog } from "../backlog.ts";
import type { Bench, Setting } from "../bench.ts";
import type { Client, Input, WorkOrder } from "../contenders/contender.ts";
import { leftIn, openBroker } from "../contenders/tasktrail.ts";
import { schemas } from "../payload.ts";

const FEATURES = ["validation", "deps", "hooks", "result"] as const;
type Feature = (typeof FEATURES)[number];
const ALL = "everything";
const NONE = "nothing";

/** What each part of a task costs a worker, switched on by itself and with all others. The ledger is on throughout. */
export const features: Bench = {
  name: "features",
  what: "no-op runs, concurrency 100, with input validation, two dependencies, a hook around each attempt, and a result that is kept",
  contenders: [ALL, NONE, ...FEATURES],
  against: NONE,
  figures: [
    { name: "rate", unit: "runs/s", better: "higher" },
    { name: "node", unit: "µs/run in Node", better: "lower" },
    { name: "redis", unit: "µs/run of Redis' processor", better: "lower" },
  ],
  steps: {
    async fill({ setting }) {
      await using client = open(setting);
      await fill(client, { count: sizeOf(setting).count, payload: "small" });
      return {};
    },
    async work({ setting }) {
      await using client = open(setting);
      const run = async () => {};
      return await timeBacklog({ url: setting.redis, client, ...sizeOf(setting), concurrency: 100, run });
    },
  },
  async play(_setting, start) {
    await start("fill").figures;
    return start("work").figures;
  },
};

function sizeOf({ scale }: Setting) {
  const warmCount = Math.ceil(20_000 * scale);
  return { count: warmCount * 3, warmCount };
}

const getSettings = provider({ scope: "worker", provide: (_deps, use) => use({ greeting: "hello" }) });
const getSession = provider({
  deps: { settings: getSettings },
  provide: ({ settings }, use) => use({ said: settings.greeting }),
});
const hook: Middleware = { name: "bench", attempt: () => ({ enter: (begin) => begin(), end() {} }) };

/** A task with what the contender's name says. */
function open({ redis: url, contender }: Setting): Client {
  const has = (feature: Feature) => contender === ALL || contender === feature;
  if (has("hooks")) processMiddleware().push(hook);
  const broker = openBroker(url);
  const redis = new Redis(url, { protocol: 2 });
  let handle: WorkOrder["run"] = async () => {};
  const task = broker.task({
    name: "noop",
    ...(has("validation") ? { input: schemas.small } : {}),
    ...(has("deps") ? { deps: { settings: getSettings, session: getSession } } : {}),
    async run(input: unknown, _deps: unknown, { attempt }: { readonly attempt: number }) {
      await handle(input as Input, attempt);
      return has("result") ? { receipt: "r-1" } : undefined;
    },
  } as never) as unknown as { kiqMany(inputs: readonly unknown[]): Promise<unknown> };
  const given = (inputs: readonly Input[]) => (has("validation") ? inputs : inputs.map(() => undefined));
  return {
    send: (input) => task.kiqMany(given([input])),
    sendMany: (inputs) => task.kiqMany(given(inputs)),
    async work({ concurrency, run }) {
      handle = run;
      const worker = createWorker(broker, { concurrency });
      worker.run().catch(console.error);
      return worker;
    },
    leftCount: () => leftIn(redis, ["default"]),
    async [Symbol.asyncDispose]() {
      await broker.close();
      redis.disconnect();
    },
  };
}
