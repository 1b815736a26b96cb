/** Wakes a loop that waits. */
export interface Alarm {
  /** Ends the wait that is going on, or else the next one before it begins. */
  ring(): void;
  /** Waits for a ring, or so long at most, or until the signal is aborted. Never rejects. */
  wait(atMostMs: number, signal: AbortSignal): Promise<void>;
}

/** An alarm for one loop. */
export function createAlarm(): Alarm {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    wait(atMostMs, signal) {
      if (hasRung || signal.aborted) {
        hasRung = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          wake = undefined;
          hasRung = false;
          resolve();
        };
        const timer = setTimeout(done, atMostMs);
        signal.addEventListener("abort", done, { once: true });
        wake = done;
      });
    },
  };
}
