import { createRoster, type Placed } from "../roster.ts";

/** Something that has until then, by the monotonic clock, in ms. */
export interface Timed extends Placed {
  deadlineAt: number;
}

/** Watches over the deadlines of what runs. */
export interface Deadlines<T extends Timed> {
  add(one: T): void;
  remove(one: T): void;
  /** To be called when a deadline has come nearer. */
  moved(one: T): void;
  /** The latest deadline of all; 0 when there is none. */
  latest(): number;
  close(): void;
}

/** The longest that a timer of Node can wait. */
const LONGEST_WAIT_MS = 2_147_483_647;

/**
 * One timer for all: armed for the nearest deadline, and left alone by what ends before its time, which is nearly everything.
 * `onDue` is called when a deadline has come; it moves the deadline on, or the thing is watched no longer.
 */
export function createDeadlines<T extends Timed>(elapsed: () => number, onDue: (one: T) => void): Deadlines<T> {
  const watched = createRoster<T>();
  let timer: NodeJS.Timeout | undefined;
  let armedFor = Number.POSITIVE_INFINITY;

  const arm = (at: number) => {
    clearTimeout(timer);
    armedFor = at;
    timer = setTimeout(check, Math.min(LONGEST_WAIT_MS, Math.max(0, at - elapsed()) + 1));
    timer.unref();
  };
  const check = () => {
    armedFor = Number.POSITIVE_INFINITY;
    const now = elapsed();
    for (const one of watched.all()) {
      if (one.deadlineAt > now) continue;
      onDue(one);
      if (one.deadlineAt <= now) watched.remove(one);
    }
    let next = Number.POSITIVE_INFINITY;
    for (const one of watched.all()) if (one.deadlineAt < next) next = one.deadlineAt;
    if (next !== Number.POSITIVE_INFINITY) arm(next);
  };

  return {
    add(one) {
      watched.add(one);
      if (one.deadlineAt < armedFor) arm(one.deadlineAt);
    },
    remove: watched.remove,
    moved(one) {
      if (watched.has(one) && one.deadlineAt < armedFor) arm(one.deadlineAt);
    },
    latest() {
      let latest = 0;
      for (const one of watched.all()) if (one.deadlineAt > latest) latest = one.deadlineAt;
      return latest;
    },
    close() {
      clearTimeout(timer);
      for (const one of watched.all()) watched.remove(one);
    },
  };
}
