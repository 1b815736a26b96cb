// A producer as a process of its own: dispatches runs, and writes down, on disk, each that it was told of.
import { openJournal } from "../journal.ts";
import { broker, work } from "./tasks.ts";

interface Order {
  readonly count: number;
  readonly first: number;
  /** Dispatches at once. */
  readonly inFlight: number;
  /** Pause after each round of `inFlight`, in ms. */
  readonly pauseMs: number;
  readonly ms: number;
  readonly kind: "sleep";
}

const order = JSON.parse(process.env.CRASH_ORDER ?? "{}") as Order;
using told = openJournal(process.env.CRASH_TOLD as string);
let refused = 0;
for (let n = order.first; n < order.first + order.count; n += order.inFlight) {
  const round = Array.from({ length: Math.min(order.inFlight, order.first + order.count - n) }, (_, i) => n + i);
  const outcomes = await Promise.allSettled(round.map((one) => dispatch(one)));
  refused += outcomes.filter((outcome) => outcome.status === "rejected").length;
  told.sync();
  if (order.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, order.pauseMs));
}
console.log(`done ${refused}`);
await broker.close();

/** Tries again under the same key until it is told: what a careful application does. */
async function dispatch(n: number): Promise<void> {
  const keyed = work.with({ key: `n:${n}` });
  for (let tries = 1; ; tries += 1) {
    try {
      const run = await keyed.kiq({ n, ms: order.ms, kind: order.kind });
      told.append([run.id, n]);
      return;
    } catch (error) {
      if (tries === 20) throw error;
    }
  }
}
