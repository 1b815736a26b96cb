/** When dispatches ask whether a lane is full: at the first, and a few times a second from then on; each of them, as long as it was. */
export interface Fullness {
  asks(): boolean;
  wasFull(): void;
}

const ASK_EVERY_MS = 200;

/** Knows nothing yet: the first dispatch asks. `clock` in ms, from whenever. */
export function createFullness(clock: () => number = () => performance.now()): Fullness {
  let askedAt = Number.NEGATIVE_INFINITY;
  return {
    asks() {
      const now = clock();
      if (now - askedAt < ASK_EVERY_MS) return false;
      askedAt = now;
      return true;
    },
    wasFull() {
      askedAt = Number.NEGATIVE_INFINITY;
    },
  };
}
