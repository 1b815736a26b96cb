// A program that only dispatches, for the tests that ask whether it ends by itself. What it is to do is its first argument.
import { z } from "zod";
import { createBroker } from "../../../src/broker.ts";
import { duration } from "../../../src/define/duration.ts";

const [what = "", namespace = "script", enqueueTimeout = "5s"] = process.argv.slice(2);
const broker = createBroker({ namespace, enqueueTimeout: duration(enqueueTimeout), logger: silent() });
const greet = broker.task({ name: "greet", input: z.object({ name: z.string() }), run: ({ name }) => `Hello ${name}` });

const startedAt = performance.now();
process.on("exit", () => {
  console.log(JSON.stringify({ aliveForMs: Math.round(performance.now() - startedAt) }));
});

const doings: Record<string, () => Promise<unknown>> = {
  nothing: async () => ({}),
  dispatch: async () => ({ isNew: (await greet.kiq({ name: "Ada" })).isNew }),
  forget: async () => {
    void greet.kiq({ name: "Ada" });
    return {};
  },
  status: async () => ({ status: await (await greet.kiq({ name: "Ada" })).status() }),
  result: async () => (await greet.kiq({ name: "Ada" })).result({ timeout: "200ms" }),
};

try {
  console.log(JSON.stringify(await doings[what]?.()));
} catch (error) {
  const { code, details, message } = error as { code?: string; details?: object; message: string };
  console.log(JSON.stringify({ code, ...details, message, afterMs: Math.round(performance.now() - startedAt) }));
}

function silent() {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  return logger;
}
