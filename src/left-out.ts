import { type AttemptKey, inFull, isOurs, OF_ATTEMPT, OF_DISPATCH } from "../streams/trace-ids.ts";
import type { Carrier } from "./middleware.ts";

const RUN = Symbol("run");
const ATTEMPT = Symbol("attempt");
const DELIVERY = Symbol("delivery");

/** A trace context that is worked out once somebody asks for it, from what it follows from. */
interface LeftOut extends Carrier {
  readonly [RUN]: string;
  readonly [ATTEMPT]: number;
  readonly [DELIVERY]: number;
}

/** What all of them share. A getter made for each would cost more than to work it out. */
const shared = {
  get traceparent(): string | undefined {
    const of = followsFrom(this as Carrier) as AttemptKey;
    return inFull(shortOf(of.attempt), of);
  },
};

/**
 * The trace context of a dispatch, or of one delivery of an attempt, that would have begun a trace and that sampling leaves out: nobody keeps
 * its spans, and its ids follow from what it is. So they are written as one character, and made when a log line or a handler's call wants them:
 * to write them on each event cost more than all else that telemetry does for a run. Of a dispatch, attempt and delivery are 0.
 */
export function leftOut({ run, attempt, delivery }: AttemptKey): Carrier {
  const made = Object.create(shared) as { -readonly [K in keyof LeftOut]: LeftOut[K] };
  made[RUN] = run;
  made[ATTEMPT] = attempt;
  made[DELIVERY] = delivery;
  return made;
}

function shortOf(attempt: number): string {
  return attempt === 0 ? OF_DISPATCH : OF_ATTEMPT;
}

/** A carrier's `traceparent` as it is written beside a run: short where it follows from that. */
export function besideRun(carrier: Carrier, run: string): string | undefined {
  const { [RUN]: of, [ATTEMPT]: attempt = 0 } = carrier as Partial<LeftOut>;
  return of === run && isOurs(run) ? shortOf(attempt) : carrier.traceparent;
}

/** What a carrier follows from; undefined for one that sampling has not left out, or that says nothing of its own. */
export function followsFrom(carrier: Carrier): AttemptKey | undefined {
  const { [RUN]: run, [ATTEMPT]: attempt = 0, [DELIVERY]: delivery = 0 } = carrier as Partial<LeftOut>;
  return run === undefined ? undefined : { run, attempt, delivery };
}

/** A carrier that can be copied and written: one that was left out is no plain object. */
export function inPlain(carrier: Carrier): Carrier {
  return RUN in carrier ? { traceparent: carrier.traceparent } : carrier;
}
