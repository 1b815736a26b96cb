import { startRedis } from "../../src/dev/start-redis.ts";
import type { Bench, Figures, Setting } from "./bench.ts";
import type { Databases } from "./databases.ts";
import { load, othersBusy } from "./machine.ts";
import { runStep } from "./run-step.ts";

/** What came of a bench: for each figure and contender, the median of the rounds. */
export interface Outcome {
  readonly bench: string;
  readonly what: string;
  readonly figures: readonly FigureOutcome[];
  readonly rounds: number;
  /** What others used of the machine before each measurement, in percent: the median, and the most. */
  readonly othersBusy: { readonly median: number; readonly most: number };
  /** The load average before and after. */
  readonly load: readonly [before: number, after: number];
}

/** One row of the table. */
export interface FigureOutcome {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly medians: Readonly<Record<string, number>>;
  /** The first contender's median in units of the one it is compared with. */
  readonly ratio?: number | undefined;
  readonly against?: string | undefined;
}

/** How much is measured. */
export interface Amount {
  readonly rounds: number;
  readonly scale: number;
}

/**
 * Plays a bench: its contenders take turns, round by round, each measurement on a Redis of its own, so that what else the machine
 * does falls on all of them.
 */
export async function measure(bench: Bench, amount: Amount, databases: Databases): Promise<Outcome> {
  const rounds = Math.min(amount.rounds, bench.rounds ?? amount.rounds);
  const before = load();
  const busy: number[] = [];
  const found = new Map<string, Figures[]>(bench.contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of bench.contenders) {
      busy.push(await othersBusy());
      found.get(contender)?.push(await measureOnce(bench, { contender, scale: amount.scale }, databases));
    }
  }
  return {
    bench: bench.name,
    what: bench.what,
    figures: bench.figures.map((figure) => toOutcome(bench, figure, found)),
    rounds,
    othersBusy: { median: median(busy), most: Math.max(...busy) },
    load: [before, load()],
  };
}

type Half = Pick<Setting, "contender" | "scale">;

async function measureOnce(bench: Bench, half: Half, databases: Databases): Promise<Figures> {
  await using server = await startRedis();
  const database = bench.needs === "postgres" ? await databases.open() : undefined;
  const setting: Setting = { ...half, redis: server.url, database };
  return await bench.play(setting, (step, part) => runStep(bench, setting, step, part));
}

function toOutcome(bench: Bench, figure: Bench["figures"][number], found: ReadonlyMap<string, readonly Figures[]>) {
  const medians: Record<string, number> = {};
  for (const [contender, all] of found) {
    const values = all.map((figures) => figures[figure.name]).filter((value) => value !== undefined);
    if (values.length > 0) medians[contender] = round(median(values));
  }
  const [first] = bench.contenders as [string];
  const against = bench.against ?? "BullMQ";
  const [ours, theirs] = [medians[first], medians[against]];
  if (against === first || ours === undefined || theirs === undefined || theirs === 0) return { ...figure, medians };
  return { ...figure, medians, against, ratio: round(ours / theirs) };
}

/** The one in the middle; of an even number, the lower of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number;
}

/** Three digits say what a measurement knows; a whole number stays whole. */
function round(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
}
