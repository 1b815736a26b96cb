import { type AttemptKey, inFull, isOurs, OF_ATTEMPT, OF_DISPATCH } from "../streams/trace-ids.ts";
import type { Carrier } from "./middleware.ts";

const OF = Symbol("of");
const SHORT = Symbol("short");

/** A trace context that is worked out once somebody asks for it, from what it follows from. */
interface LeftOut extends Carrier {
  readonly [OF]: AttemptKey;
  /** How it is written beside the run; undefined: in full. */
  readonly [SHORT]: string | undefined;
}

/** What all of them share. A getter made for each would cost more than to work it out. */
const shared = {
  get traceparent(): string | undefined {
    const { [OF]: of } = this as unknown as LeftOut;
    return inFull(of.attempt === 0 ? OF_DISPATCH : OF_ATTEMPT, of);
  },
};

/**
 * The trace context of a dispatch, or of one delivery of an attempt, that would have begun a trace and that sampling leaves out: nobody keeps
 * its spans, and its ids follow from what it is. So they are written as one character, and made when a log line or a handler's call wants them:
 * to write them on each event cost more than all else that telemetry does for a run. Of a dispatch, attempt and delivery are 0.
 */
export function leftOut(of: AttemptKey): Carrier {
  const made = Object.create(shared) as { -readonly [K in keyof LeftOut]: LeftOut[K] };
  made[OF] = of;
  made[SHORT] = isOurs(of.run) ? (of.attempt === 0 ? OF_DISPATCH : OF_ATTEMPT) : undefined;
  return made;
}

/** A carrier's `traceparent` as it is written beside a run: short where it follows from that. */
export function besideRun(carrier: Carrier, run: string): string | undefined {
  const { [OF]: of, [SHORT]: short } = carrier as Partial<LeftOut>;
  return short !== undefined && of?.run === run ? short : carrier.traceparent;
}

/** What a carrier follows from; undefined for one that sampling has not left out, or that says nothing of its own. */
export function followsFrom(carrier: Carrier): AttemptKey | undefined {
  return (carrier as Partial<LeftOut>)[OF];
}

/** A carrier that can be copied and written: one that was left out is no plain object. */
export function inPlain(carrier: Carrier): Carrier {
  return OF in carrier ? { traceparent: carrier.traceparent } : carrier;
}
