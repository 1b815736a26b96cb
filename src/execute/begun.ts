import { OF_DISPATCH } from "../../streams/trace-ids.ts";
import { leftOut } from "../left-out.ts";
import type { Carrier } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";

/** An attempt that may start. */
export type Launch = Pick<Attempt, "hold" | "record" | "meta" | "policies" | "input" | "lock" | "onFree">;

/** An attempt as it begins. Of a class, as `Held` is. */
export class Begun implements Attempt {
  declare readonly hold: Attempt["hold"];
  declare readonly record: Attempt["record"];
  declare readonly meta: Attempt["meta"];
  declare readonly policies: Attempt["policies"];
  declare readonly input: Attempt["input"];
  declare readonly lock: Attempt["lock"];
  declare readonly onFree: Attempt["onFree"];
  declare carrier: Carrier;
  effects: Attempt["effects"] = undefined;
  context: unknown = undefined;
  startedAt = 0;
  durationMs = 0;
  deadlineAt = 0;
  abortedBy: Attempt["abortedBy"] = undefined;
  place = -1;
  isDue = false;
  isEntered = false;
  isOver = false;
  controller: Attempt["controller"] = undefined;
  progress: Attempt["progress"] = undefined;
  resultJson = "";
  isResultBad = false;
  abandon: Attempt["abandon"] = undefined;
  onEnded: Attempt["onEnded"] = undefined;
  unwatch: Attempt["unwatch"] = undefined;

  constructor({ hold, record, meta, policies, input, lock, onFree }: Launch) {
    this.hold = hold;
    this.record = record;
    this.meta = meta;
    this.policies = policies;
    this.input = input;
    this.lock = lock;
    this.onFree = onFree;
    this.carrier = carrierOf(meta, hold.delivery.entry.run);
  }
}

/** That of its dispatch. */
function carrierOf({ traceparent, tracestate, baggage }: Launch["meta"], run: string): Carrier {
  if (traceparent === undefined) return untraced;
  if (traceparent === OF_DISPATCH) return leftOut({ run, attempt: 0, delivery: 0 });
  return baggage === undefined ? { traceparent, tracestate } : { traceparent, tracestate, baggage };
}
const untraced: Carrier = Object.freeze({});
