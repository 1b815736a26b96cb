// One step of one bench, in a process of its own: `run-step.ts` starts it, and is told what it found.
import { benches } from "./all.ts";
import type { Part, Setting } from "./bench.ts";

/** What the process is started with, as JSON in its only argument. */
interface Order {
  readonly bench: string;
  readonly step: string;
  readonly setting: Setting;
  readonly part: Part;
}

const { bench, step, setting, part } = JSON.parse(process.argv[2] as string) as Order;
const play = benches.find(({ name }) => name === bench)?.steps[step];
if (play === undefined) throw new Error(`${bench} has no step ${step}`);

const stopping = new AbortController();
process.on("message", () => stopping.abort());
const figures = await play({ setting, part, signal: stopping.signal, ready: () => process.send?.("ready") });
process.send?.(figures ?? {}, () => process.exit(0));
