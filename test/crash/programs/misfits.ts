// A producer that dispatches what JSON, Redis or Postgres cannot carry: prints the code of each refusal, or "taken".
import { z } from "zod";
import { openBroker } from "./tasks.ts";

const broker = openBroker();
const bag = broker.task({ name: "work", input: z.any() as z.ZodType<unknown>, run() {} });
const circle: Record<string, unknown> = {};
circle.self = circle;
let deep: unknown = 1;
for (let level = 0; level < 20_000; level += 1) deep = [deep];

const misfits: Record<string, () => unknown> = {
  function: () => () => 1,
  symbol: () => Symbol("x"),
  bigint: () => 10n,
  nan: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  date: () => new Date(),
  map: () => new Map([[1, 2]]),
  set: () => new Set([1]),
  error: () => new Error("x"),
  buffer: () => Buffer.from("x"),
  circle: () => circle,
  deep: () => deep,
  nul: () => "a\u0000b",
  surrogate: () => "a\ud800b",
  nulInKey: () => ({ "a\u0000": 1 }),
  hole: () => [1, undefined, 3],
  getter: () => ({
    get x() {
      throw new Error("no");
    },
  }),
  proxy: () =>
    new Proxy(
      {},
      {
        ownKeys() {
          throw new Error("no");
        },
      },
    ),
  large: () => "x".repeat(300_000),
};

const outcomes: Record<string, string> = {};
for (const [name, make] of Object.entries(misfits)) {
  outcomes[name] = await bag.kiq({ value: make() }).then(
    () => "taken",
    (error: { code?: string }) => error.code ?? String(error),
  );
}
console.log(`done ${JSON.stringify(outcomes)}`);
await broker.close();
