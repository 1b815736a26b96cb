import type { z } from "zod";
import type { eventSchemas, recordedError } from "./event-schemas.ts";

export { EVENT_VERSION } from "./event-version.ts";

/** An error as the ledger keeps it. */
export type RecordedError = z.infer<typeof recordedError>;

/** The name of an event's type. */
export type EventType = keyof typeof eventSchemas;
/** Every event by its type. Instants are in milliseconds since 1970, on Redis' clock. */
export type LedgerEvents = { [K in EventType]: z.infer<(typeof eventSchemas)[K]> };
/** One recorded fact; `switch (event.type)` narrows it. */
export type LedgerEvent<Type extends EventType = EventType> = {
  [K in Type]: { readonly type: K } & Readonly<LedgerEvents[K]>;
}[Type];
/** An event of a type that this version does not know. Archived as it is; no projection is shown it. */
export interface UnknownEvent {
  readonly type: string;
  readonly at: number;
  readonly position?: string | undefined;
  readonly [field: string]: unknown;
}

/** Endings: exactly one per run and ledger epoch, and nothing but notes after it. */
export const ENDINGS = [
  "run.succeeded",
  "run.died",
  "run.cancelled",
  "run.skipped",
  "run.lost",
] as const satisfies readonly EventType[];
/** Transitions: what moves a run from one state to the next. */
export const TRANSITIONS = [
  "run.enqueued",
  "run.due",
  "run.started",
  "run.failed",
  "run.released",
  "run.redelivered",
  "run.deferred",
  "run.recovered",
  "run.restored",
] as const satisfies readonly EventType[];

type Note = Exclude<EventType, (typeof ENDINGS)[number] | (typeof TRANSITIONS)[number]>;

/** What may come at any time, and changes nothing. Named here and not read off the schemas: to load those was half of what loading the package took. */
const notes: Readonly<Record<Note, true>> = {
  "run.progressed": true,
  "run.cancel_requested": true,
  "run.fenced": true,
  "run.joined": true,
  "run.redriven": true,
  "run.withdrawn": true,
  "run.overran": true,
  "slot.fired": true,
  "slot.skipped": true,
  "slot.missed": true,
  "schedule.upserted": true,
  "schedule.paused": true,
  "schedule.resumed": true,
  "schedule.removed": true,
  "lane.paused": true,
  "lane.resumed": true,
  "outbox.relayed": true,
  "event.refused": true,
  "lane.regressed": true,
  "lane.repaired": true,
  "ledger.gap": true,
  "worker.started": true,
  "worker.stopped": true,
  "worker.lost": true,
};

const endings: ReadonlySet<string> = new Set(ENDINGS);

/** The types of all events that this version knows. */
export const EVENT_TYPES: readonly EventType[] = [...TRANSITIONS, ...ENDINGS, ...(Object.keys(notes) as Note[])];
const known: ReadonlySet<string> = new Set(EVENT_TYPES);

/** True when nothing but notes may follow an event of this type. */
export function isEnding(type: string): boolean {
  return endings.has(type);
}

/** True when this version has a schema for the type. */
export function isKnown(type: string): type is EventType {
  return known.has(type);
}

/** An event as a writer hands it over: `v`, `at`, `queue` and `worker` may come from the batch's header. */
export type EventDraft<Type extends EventType = EventType> = {
  [K in Type]: { readonly type: K } & Readonly<
    Omit<LedgerEvents[K], "v" | "at" | "queue" | "position" | "traceId" | "worker"> &
      Partial<Pick<LedgerEvents[K], ("at" | "worker") & keyof LedgerEvents[K]>>
  >;
}[Type];
