import type { EventDraft } from "./events.ts";
import { encodeEvent, type Shared, sharedBy } from "./ledger.ts";
import { traceToldOnce } from "./trace-ids.ts";

/** How a run starts and succeeds of which nothing more is to be told: neither a slot nor a result. */
export type PlainEvent = (
  | Pick<EventDraft<"run.started">, "type" | "run" | "task" | "attempt" | "delivery" | "waitedMs">
  | Pick<EventDraft<"run.succeeded">, "type" | "run" | "task" | "attempt" | "delivery" | "durationMs">
) & { readonly at: number; readonly traceparent?: string | undefined };

/** What the header of a batch of a worker's says for all of its events. */
export type Told = Shared & { readonly at?: number | undefined };

const SHARED = ["task", "attempt", "delivery"] as const;

/** Those of its fields in which all events agree, the trace context that most have, and when the last of them was: nearly all are of the same millisecond or two. */
export function toldOnce(events: readonly EventDraft[]): Told {
  const shared = sharedBy(events, SHARED);
  const traceparent = traceToldOnce(events);
  const told = traceparent === undefined ? shared : { ...shared, traceparent };
  return events.every(({ at }) => at !== undefined) ? { ...told, at: events.at(-1)?.at } : told;
}

/** Events as JSON with commas between them, by hand: to have JSON write them was a twelfth of a run. */
export function writePlain(events: readonly PlainEvent[], told: Told): string {
  let json = "";
  for (const event of events) json += `${json === "" ? "" : ","}${write(event, told)}`;
  return json;
}

function write(event: PlainEvent, told: Told): string {
  let own = ""; // as a rule it stays so
  if (told.task === undefined) own = `,"task":${JSON.stringify(event.task)}`;
  if (told.attempt === undefined) own += `,"attempt":${event.attempt}`;
  if (told.delivery === undefined) own += `,"delivery":${event.delivery}`;
  if (event.traceparent !== told.traceparent) own += `,"traceparent":${JSON.stringify(event.traceparent)}`;
  if (event.at !== told.at) own += `,"at":${event.at}`;
  return event.type === "run.started"
    ? `{"type":"run.started","run":"${event.run}"${own},"waitedMs":${event.waitedMs}}`
    : `{"type":"run.succeeded","run":"${event.run}"${own},"durationMs":${event.durationMs}}`;
}

/** The same of any events. */
export function writeAny(events: readonly EventDraft[], { at: _, ...shared }: Told): string {
  return events.map((event) => encodeEvent(event, shared)).join(",");
}
