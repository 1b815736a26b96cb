import type { Delivery } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Plain, PlainEnding, PlainStart } from "../../streams/plain-events.ts";
import type { Settlement } from "../../streams/settle.ts";
import { besideRun } from "../left-out.ts";
import type { Attempt } from "./attempt.ts";
import { nowOf } from "./now-of.ts";

type Started = Extract<Settlement, { kind: "started" }> & PlainStart;
type Succeeded = Extract<Settlement, { kind: "ended" }> & PlainEnding;

/** How an attempt begins that is of no slot. */
export function plainStart(attempt: Attempt): Started {
  const { meta, hold } = attempt;
  const at = nowOf(hold);
  const waitedMs = Math.max(0, at - (meta.dueAt ?? meta.enqueuedAt));
  return new OfStart(hold.delivery, { at, waitedMs, traceparent: besideRun(attempt.carrier, hold.delivery.entry.run) });
}

/** An attempt has done its work. */
export function success(attempt: Attempt, durationMs: number): Succeeded {
  return new OfSuccess(attempt, durationMs);
}

/** An ending with the start that goes in the same breath; undefined when they cannot be told in one. */
export function withStart(ending: Settlement, start: Settlement): Settlement | undefined {
  if (!(ending instanceof OfSuccess && start instanceof OfStart)) return undefined;
  if (ending.traceparent !== start.traceparent) return undefined;
  ending.start = start;
  return ending;
}

/** Of a class, as `Held` is. */
class OfStart implements Started {
  readonly kind = "started";
  readonly isPlain = true;
  declare readonly delivery: Delivery;
  declare readonly at: number;
  declare readonly waitedMs: number;
  declare readonly traceparent: string | undefined;

  constructor(delivery: Delivery, { at, waitedMs, traceparent }: Pick<Started, "at" | "waitedMs" | "traceparent">) {
    this.delivery = delivery;
    this.at = at;
    this.waitedMs = waitedMs;
    this.traceparent = traceparent;
  }

  get events(): readonly EventDraft[] {
    return [{ type: "run.started", ...commonOf(this), waitedMs: this.waitedMs } as EventDraft];
  }
}

/** Of a class, as `Held` is. */
class OfSuccess implements Succeeded {
  readonly kind = "ended";
  readonly isPlain = true;
  declare readonly delivery: Delivery;
  declare readonly at: number;
  declare readonly durationMs: number;
  declare readonly traceparent: string | undefined;
  declare readonly result: Succeeded["result"];
  declare readonly keyUntil: number | undefined;
  start: Started | undefined = undefined;

  constructor({ hold, carrier, meta, policies, resultJson }: Attempt, durationMs: number) {
    this.delivery = hold.delivery;
    this.at = nowOf(hold);
    this.durationMs = durationMs;
    this.traceparent = besideRun(carrier, hold.delivery.entry.run);
    const isKept = resultJson !== "" && policies.resultTtlMs > 0;
    this.result = isKept ? { json: resultJson, ttlMs: policies.resultTtlMs } : undefined;
    this.keyUntil = meta.keyUntil;
  }

  get events(): readonly EventDraft[] {
    const own = { type: "run.succeeded", ...commonOf(this), durationMs: this.durationMs } as EventDraft;
    return this.start === undefined ? [own] : [...this.start.events, own];
  }
}

/** The worker stands in the batch's header. */
function commonOf({ delivery: { delivery, entry }, at, traceparent }: Plain) {
  const { run, task, attempt } = entry;
  return { run, task, attempt, delivery, at, traceparent };
}
