import { readFileSync } from "node:fs";
import type { Actor, Cast } from "./cast.ts";

/** Watches how much memory workers use. */
export interface MemoryWatch extends Disposable {
  /** How the resident memory of the worker that grew fastest changed, in MB a minute; undefined when none lived long enough to tell. */
  slope(): number | undefined;
  /** By how much the memory of the worker that grew most rose over what was seen of its life, in MB; undefined likewise. */
  grown(): number | undefined;
  /** The most that one worker used, in MB. */
  peak(): number;
}

const EVERY_MS = 500;
/** Until then a process is still filling its caches, in ms. */
const WARM_UP_MS = 10_000;
/** A slope over a shorter time says nothing, in ms. */
const LEAST_MS = 20_000;

interface Sample {
  readonly at: number;
  readonly mb: number;
}

/** Begins to watch. Where there is no `/proc`, nothing is seen. */
export function watchMemory(cast: Cast): MemoryWatch {
  const samples = new Map<Actor, Sample[]>();
  const look = () => {
    for (const actor of cast.all) {
      if (actor.program !== "worker" || !actor.isAlive()) continue;
      const mb = residentMb(actor.pid);
      if (mb === undefined) continue;
      const known = samples.get(actor);
      if (known === undefined) samples.set(actor, [{ at: performance.now(), mb }]);
      else known.push({ at: performance.now(), mb });
    }
  };
  const timer = setInterval(look, EVERY_MS);
  const most = (of: (one: readonly Sample[]) => number | undefined) => {
    const values = [...samples.values()].flatMap((one) => of(one) ?? []);
    return values.length === 0 ? undefined : Math.max(...values);
  };
  return {
    slope: () => most(slopeOf),
    grown: () => most(grownOf),
    peak: () => Math.max(0, ...[...samples.values()].flat().map(({ mb }) => mb)),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function residentMb(pid: number): number | undefined {
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kb === undefined ? undefined : Number(kb) / 1_024;
  } catch {
    return undefined;
  }
}

/** What was seen of a process after it had warmed up; undefined when that is too little to tell anything. */
function warmOf(samples: readonly Sample[]): readonly Sample[] | undefined {
  const begun = samples[0]?.at ?? 0;
  const warm = samples.filter(({ at }) => at - begun >= WARM_UP_MS);
  const spanMs = (warm.at(-1)?.at ?? 0) - (warm[0]?.at ?? 0);
  return spanMs < LEAST_MS ? undefined : warm;
}

/** From the median of the first third to that of the last, in MB: what the collector has yet to free counts for neither. */
export function grownOf(samples: readonly Sample[]): number | undefined {
  const warm = warmOf(samples);
  if (warm === undefined) return undefined;
  const third = Math.ceil(warm.length / 3);
  return median(warm.slice(-third)) - median(warm.slice(0, third));
}

function median(samples: readonly Sample[]): number {
  const sorted = samples.map(({ mb }) => mb).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/** The slope of the line of least squares, in MB a minute. */
export function slopeOf(samples: readonly Sample[]): number | undefined {
  const warm = warmOf(samples);
  if (warm === undefined) return undefined;
  const meanAt = warm.reduce((sum, { at }) => sum + at, 0) / warm.length;
  const meanMb = warm.reduce((sum, { mb }) => sum + mb, 0) / warm.length;
  const up = warm.reduce((sum, { at, mb }) => sum + (at - meanAt) * (mb - meanMb), 0);
  const across = warm.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0);
  return (up / across) * 60_000;
}
