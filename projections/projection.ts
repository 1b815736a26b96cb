import type { Table } from "../sql/table.ts";
import type { LedgerEvent } from "../streams/events.ts";

/**
 * A fold of the ledger into a table. Pure: event data only, no clock, no chance, so that a rebuild gives the same rows.
 * Events of one key come in the ledger's order, and the first one may be any: rows age out, and history may begin late.
 */
export interface Projection<Row extends object> {
  /** Also the name under which keys are parked. */
  readonly name: string;
  /** Raised when `fold`, `key` or the table changes. */
  readonly version: number;
  readonly table: Table<Row>;
  /** The row that an event belongs to; undefined for none. */
  key(event: LedgerEvent): string | undefined;
  /** The row after the event; undefined when there is still none. Given the very row it was given, nothing is written. */
  fold(row: Row | undefined, event: LedgerEvent): Row | undefined;
  /** Whether nothing but a note is likely to follow: a rebuild writes such a row once, into the emptied table itself. Left out: no row is. */
  isOver?(row: Row): boolean;
}

/** A row of whatever table. */
export type AnyRow = Readonly<Record<string, unknown>>;
/** Whatever projection. */
export type AnyProjection = Projection<AnyRow>;

/**
 * A transition was recorded after the run's ending, or out of order. That is a bug in what wrote the ledger, or a lane read twice:
 * the projector stops, so that it is found; passing over it would hide it for ever.
 */
export class HistoryViolation extends Error {
  readonly code = "history_violation";
  readonly event: LedgerEvent;
  constructor(event: LedgerEvent, why: string) {
    super(
      `The ledger has ${event.type} at ${event.position ?? "an unknown position"}, ${why}. This is a bug: please report it with the run's history.`,
    );
    this.name = "HistoryViolation";
    this.event = event;
  }
}
