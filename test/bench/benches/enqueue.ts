import type { Bench, StepDesk } from "../bench.ts";
import { contenderNamed, withCeiling } from "../contenders/all.ts";
import type { Client, Input } from "../contenders/contender.ts";
import { makePayloads, type PayloadKind } from "../payload.ts";

interface Enqueueing {
  readonly name: string;
  readonly what: string;
  /** For the slowest; the others get as many times more as they are quicker. */
  readonly count: number;
  /** A call dispatches so many. */
  readonly each: number;
  readonly inFlight: number;
  readonly payload?: PayloadKind;
}

/** Dispatching: one at a time, many at once, and in bulk. */
export const enqueueBenches: readonly Bench[] = [
  { name: "enqueue-1", what: "dispatching, one at a time", count: 3_000, each: 1, inFlight: 1 },
  { name: "enqueue-256", what: "dispatching, 256 under way", count: 15_000, each: 1, inFlight: 256 },
  { name: "enqueue-bulk", what: "dispatching in bulk, 1,000 a call", count: 15_000, each: 1_000, inFlight: 1 },
  {
    name: "enqueue-10k",
    what: "dispatching with inputs of 10 KB, 256 under way",
    count: 1_200,
    each: 1,
    inFlight: 256,
    payload: "order" as const,
  },
].map(enqueueing);

function enqueueing({ name, what, count, each, inFlight, payload = "small" }: Enqueueing): Bench {
  return {
    name,
    what,
    contenders: withCeiling,
    figures: [
      { name: "rate", unit: "runs/s", better: "higher" },
      { name: "node", unit: "µs/run in Node", better: "lower" },
    ],
    steps: {
      async send({ setting }: StepDesk) {
        const contender = contenderNamed(setting.contender);
        const paced = inFlight === 1 && each === 1 ? 1 : contender.pace; // a lone call waits for the network most of the time
        const size = Math.ceil(count * paced * setting.scale);
        await using client = await contender.open(setting.redis, { payload });
        const inputs = makePayloads(payload, Math.max(64, each));
        const order = { client, inputs, each, inFlight };
        await sendAll(order, Math.ceil(size / 2)); // warms up
        const cpu = process.cpuUsage();
        const begun = performance.now();
        const sent = await sendAll(order, size);
        const tookMs = performance.now() - begun;
        const { user, system } = process.cpuUsage(cpu);
        return { rate: (sent / tookMs) * 1_000, node: (user + system) / sent };
      },
    },
    play: (_setting, start) => start("send").figures,
  };
}

interface Sending {
  readonly client: Client;
  readonly inputs: readonly Input[];
  readonly each: number;
  readonly inFlight: number;
}

/** Sends at least so many; gives how many it were. */
async function sendAll({ client, inputs, each, inFlight }: Sending, count: number): Promise<number> {
  let sent = 0;
  const one = async () => {
    while (sent < count) {
      const at = sent;
      sent += each;
      if (each === 1) await client.send(inputs[at % inputs.length] as Input);
      else await client.sendMany(inputs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return sent;
}
