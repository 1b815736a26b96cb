// A producer as a process of its own: dispatches runs, and has each that it was told of on disk before it goes on.
import "./skew.ts";
import { openJournal } from "../journal.ts";
import { type Order, type Refused, USUAL } from "./order.ts";
import { declare, openBroker } from "./tasks.ts";

const order: Order = { ...USUAL, ...JSON.parse(process.env.CRASH_ORDER ?? "{}") };
using journal = openJournal(process.env.CRASH_TOLD as string);
const brokers = Array.from({ length: order.brokers }, () => openBroker(order.enqueueTimeoutMs));
const tasks = brokers.map((broker) => declare(broker)[order.task]);
const text = "x".repeat(order.bytes);
const refused: Refused[] = [];
let taken = 0;

const end = order.first + order.count;
for (let from = order.first; from < end; from += order.inFlight) {
  const round = Array.from({ length: Math.min(order.inFlight, end - from) }, (_, i) => from + i);
  await (order.inBulk ? dispatchAll(round) : Promise.all(round.map((n) => persist([n], dispatch))));
  if (from === order.first) console.log("began");
  if (order.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, order.pauseMs));
}
console.log(`done ${JSON.stringify({ taken, refused })}`);
await Promise.all(brokers.map((broker) => broker.close()));

function inputOf(n: number) {
  return { n, ms: order.ms, kind: order.kind as "sleep", ...(text === "" ? {} : { text }) };
}

function taskOf(n: number) {
  const timeout = order.timeoutMs === 0 ? {} : { timeout: `${order.timeoutMs}ms` as const };
  return { task: tasks[n % tasks.length] as (typeof tasks)[0], timeout };
}

async function dispatch(n: number): Promise<void> {
  const { task, timeout } = taskOf(n);
  const run = await task.with({ key: `n:${n}`, ...timeout }).kiq(inputOf(n));
  await tell([[run.id, n]]);
}

async function dispatchAll(round: readonly number[]): Promise<void> {
  const { task, timeout } = taskOf(round[0] as number);
  await persist(round, async () => {
    const keyed = order.tries > 1 ? { key: ({ n }: { n: number }) => `n:${n}` } : {};
    const runs = await task.with(timeout).kiqMany(round.map(inputOf), keyed);
    await tell(runs.map((run, index) => [run.id, round[index] as number]));
  });
}

async function tell(lines: readonly (readonly [string, number])[]): Promise<void> {
  for (const line of lines) journal.append(line);
  await journal.sync();
  taken += lines.length;
}

/** Tries again under the same key until it is told: what a careful application does. */
async function persist(round: readonly number[], send: (n: number) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send(round[0] as number);
    } catch (error) {
      if (tries < order.tries) continue;
      const { code = String(error), details } = error as { code?: string; details?: { ambiguous?: boolean } };
      const isAmbiguous = details?.ambiguous === true;
      for (const n of round) refused.push({ n, code, isAmbiguous, at: Date.now() });
      return;
    }
  }
}
