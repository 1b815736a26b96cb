import type { EventDraft } from "./events.ts";

/** One of which something was said. */
export interface OwnRecord {
  readonly head?: undefined;
  readonly run: string;
  readonly task: string;
  /** JSON of an EntryMeta. */
  readonly meta: string;
  /** JSON of the input, or that packed as the meta's codec says; empty for none. */
  readonly body: string;
  /** Must have started by then, in ms on Redis' clock; 0: no matter when. */
  readonly expires: number;
  /** Not before then, in ms on Redis' clock; 0: now. */
  readonly dueAt: number;
  /** The Redis key of its idempotency key, and how long that lives at most, in ms. */
  readonly key?: { readonly name: string; readonly ttlMs: number } | undefined;
  readonly event: EventDraft<"run.enqueued">;
  /** JSON of the event's input, when the event itself has none. */
  readonly inputJson?: string | undefined;
  /** Recorded before it, in the same batch, if the run is new: what made it. */
  readonly before?: EventDraft | undefined;
}

/** One of which nothing was said but its input: due at once, without a key. */
export interface PlainRecord {
  readonly run: string;
  readonly body: string;
  /** What it has in common with those dispatched with it, which share the object. */
  readonly head: PlainHead;
  readonly key?: undefined;
  readonly dueAt?: undefined;
  readonly before?: undefined;
}

/** What plain records have in common. */
export interface PlainHead {
  /** JSON of an EntryMeta. */
  readonly meta: string;
  /** What stands in the entry between run and body (`packEntry`). */
  readonly entry: string;
  /** What stands in the event's JSON between the run's id and the body, and after that: `,"input":` and `}` as a rule. */
  readonly beforeBody: string;
  readonly afterBody: string;
  /** The event, but for its run and its input. */
  readonly event: Omit<EventDraft<"run.enqueued">, "run">;
}

/** The event of a record, without its input if it is a plain one. */
export function eventOf(record: OwnRecord | PlainRecord): EventDraft<"run.enqueued"> {
  return record.head === undefined ? record.event : { ...record.head.event, run: record.run };
}
