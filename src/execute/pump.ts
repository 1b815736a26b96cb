import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../clock.ts";
import type { Capacity } from "../deliver/capacity.ts";
import type { Hold } from "../deliver/work-lane.ts";
import { createBacklog } from "./backlog.ts";

/** Entries are taken for so long before the event loop gets its turn, in ms: the outcomes of a turn go out together, and answers are read. */
const SLICE_MS = 3;

/** What a pump works with. */
export interface PumpParts {
  readonly clock: Clock;
  readonly capacity: Capacity;
  /** After so long, a suspect no longer keeps the next one from starting, in ms. */
  readonly suspectAloneMs: number;
  /** Starts a run, or settles it at once. */
  readonly begin: (held: Hold) => void;
}

/** Begins what waits, in order, as slots come free. */
export interface Pump {
  /** Takes in what waits. It begins on the next turn of the event loop. */
  add(holds: readonly Hold[]): void;
  /** A suspect runs: no other starts beside it. */
  alone(held: Hold): void;
  /** A slot is free again. */
  freed(held: Hold): void;
  /** What has waited here since before then, by the monotonic clock. Suspects are not among them: they wait for each other, and not for slots. */
  stale(before: number): Hold[];
  /** Begins nothing any more. Gives what waits. */
  stop(): Hold[];
}

/** Slots that handlers free within a slice are filled in the same turn of the event loop: a turn for each run would cost more than most runs do. */
export function createPump({ clock, capacity, suspectAloneMs, begin }: PumpParts): Pump {
  const backlog = createBacklog();
  const suspects = createBacklog();
  /** What asks for the next run is the end of another: nothing may begin in the context of that one. */
  const outside = AsyncLocalStorage.snapshot();
  let suspect: { readonly hold: Hold; readonly since: number } | undefined;
  let isPumping = false;
  let isStopped = false;
  let sliceEndsAt = 0;

  const schedule = () => {
    if (isPumping || isStopped) return;
    isPumping = true;
    if (clock.elapsed() < sliceEndsAt) queueMicrotask(pump);
    else setImmediate(turn);
  };
  const turn = () => {
    sliceEndsAt = clock.elapsed() + SLICE_MS;
    pump();
  };
  const pump = () => {
    const isSliceOver = outside(beginAll);
    isPumping = false;
    if (isSliceOver) schedule();
  };
  const beginAll = (): boolean => {
    let isSliceOver = false;
    while (!isStopped && !isSliceOver && capacity.countOf("running") < capacity.concurrency) {
      const next = nextHold();
      if (next === undefined) break;
      begin(next);
      isSliceOver = clock.elapsed() > sliceEndsAt;
    }
    return isSliceOver;
  };
  const nextHold = (): Hold | undefined => {
    const isAlone = suspect !== undefined && clock.elapsed() - suspect.since < suspectAloneMs;
    return (isAlone ? undefined : suspects.shift()) ?? backlog.shift();
  };

  return {
    add(holds) {
      for (const held of holds) if (held.phase === "waiting") (held.delivery.isSuspect ? suspects : backlog).push(held);
      schedule();
    },
    alone(held) {
      suspect = { hold: held, since: clock.elapsed() };
    },
    freed(held) {
      if (suspect?.hold === held) suspect = undefined;
      if (backlog.size() + suspects.size() > 0) schedule();
    },
    stale: (before) => backlog.head((held) => held.since <= before).filter((held) => held.phase === "waiting"),
    stop() {
      isStopped = true;
      return [...backlog.all(), ...suspects.all()];
    },
  };
}
