/** How a clock leaps, so that minutes need not be waited for. All in ms. */
export interface Leaps {
  /** On this machine's clock: when it begins. */
  readonly epochMs: number;
  /** From one minute to the next, in truth. */
  readonly periodMs: number;
  /** The minute that it begins before. Long past, since Redis fires nothing before its time. */
  readonly firstMs: number;
}

/** From a leap to the full minute: time enough to fall asleep. */
const LEAD_MS = 150;
const MINUTE_MS = 60_000;

/** A clock that goes as fast as any other, but is put forward again and again to shortly before the next minute: by its arguments alone, so that all processes agree. */
export function leapingClock({ epochMs, periodMs, firstMs }: Leaps) {
  return {
    now() {
      const since = Math.max(0, Date.now() - epochMs);
      return firstMs + Math.floor(since / periodMs) * MINUTE_MS - LEAD_MS + (since % periodMs);
    },
    /** When a full minute comes, on this machine's clock. */
    trueTimeOf: (minuteMs: number) => epochMs + ((minuteMs - firstMs) / MINUTE_MS) * periodMs + LEAD_MS,
    /** Until the next leap, in ms. */
    untilLeapMs: () => periodMs - ((Date.now() - epochMs) % periodMs),
  };
}
