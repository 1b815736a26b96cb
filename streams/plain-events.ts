import type { Delivery } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { encodeEvent, type Shared } from "./ledger.ts";
import { traceToldOnce } from "./trace-ids.ts";

/** What starts and successes have in common of which nothing more is to be told: neither a slot nor a result. Their event is made when somebody asks for it. */
interface Told {
  readonly isPlain: true;
  readonly delivery: Delivery;
  /** In whole ms, on Redis' clock. */
  readonly at: number;
  readonly traceparent: string | undefined;
}

/** A run has started. */
export interface PlainStart extends Told {
  readonly kind: "started";
  readonly waitedMs: number;
}

/** A run has succeeded. */
export interface PlainEnding extends Told {
  readonly kind: "ended";
  readonly durationMs: number;
  /** That of the same attempt, when it goes with it. */
  readonly start: PlainStart | undefined;
}

/** What nearly all settlements tell. */
export type Plain = PlainStart | PlainEnding;

/** What the header of a batch of a worker's says for all of its events. */
export type Common = Shared & { readonly at?: number | undefined };

/** Those fields in which all agree, the trace context that most have, and when the last was: nearly all are of the same millisecond or two. */
export function commonOf(plain: readonly Plain[], others: readonly EventDraft[]): Common {
  const task = agreed(plain, others, taskOf, "task");
  const attempt = agreed(plain, others, attemptOf, "attempt");
  const delivery = agreed(plain, others, deliveryOf, "delivery");
  const traceparent = traceToldOnce(others.length === 0 ? plain : [...plain, ...others]);
  const isTimed = others.every(({ at }) => at !== undefined);
  const at = isTimed ? (others.at(-1) ?? plain.at(-1))?.at : undefined;
  return { task, attempt, delivery, traceparent, at };
}

const taskOf = ({ delivery }: Plain) => delivery.entry.task;
const attemptOf = ({ delivery }: Plain) => delivery.entry.attempt;
const deliveryOf = ({ delivery }: Plain) => delivery.delivery;

/** What all have; undefined when they differ. */
function agreed<Field extends "task" | "attempt" | "delivery", T extends string | number>(
  plain: readonly Plain[],
  others: readonly EventDraft[],
  toldBy: (one: Plain) => T,
  field: Field,
): T | undefined {
  const [first] = plain;
  const value = first === undefined ? (others[0] as Partial<Record<Field, T>> | undefined)?.[field] : toldBy(first);
  for (const one of plain) if (toldBy(one) !== value) return undefined;
  for (const other of others) if ((other as Partial<Record<Field, T>>)[field] !== value) return undefined;
  return value;
}

/** Its events as JSON with a comma between them, by hand: to have JSON write them was a twelfth of a run. */
export function writePlain(plain: Plain, common: Common): string {
  const { run } = plain.delivery.entry;
  if (plain.kind === "started")
    return `{"type":"run.started","run":"${run}"${ownOf(plain, common)},"waitedMs":${plain.waitedMs}}`;
  const ending = `{"type":"run.succeeded","run":"${run}"${ownOf(plain, common)},"durationMs":${plain.durationMs}}`;
  return plain.start === undefined ? ending : `${writePlain(plain.start, common)},${ending}`;
}

/** What the header does not say for it. As a rule it says all. */
function ownOf({ delivery, traceparent, at }: Plain, common: Common): string {
  let own = "";
  if (common.task === undefined) own = `,"task":${JSON.stringify(delivery.entry.task)}`;
  if (common.attempt === undefined) own += `,"attempt":${delivery.entry.attempt}`;
  if (common.delivery === undefined) own += `,"delivery":${delivery.delivery}`;
  if (traceparent !== common.traceparent) own += `,"traceparent":${JSON.stringify(traceparent)}`;
  return at === common.at ? own : `${own},"at":${at}`;
}

/** Any events as JSON with commas between them. */
export function writeAny(events: readonly EventDraft[], { at: _, ...shared }: Common): string {
  return events.map((event) => encodeEvent(event, shared)).join(",");
}
