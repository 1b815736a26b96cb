import { EVENT_TYPES, type EventType } from "../../streams/events.ts";
import { isRunId } from "../../streams/ids.ts";
import { invalidOption } from "../errors.ts";
import { checkKeys, checkObject, oneOf, shown } from "./options.ts";

/** Which events of the ledger are wanted. Each given condition narrows. */
export interface LedgerQuery {
  /** Recorded at this instant or later, on Redis' clock: a Date, or text as in `"2026-01-31T06:00:00Z"`. Default: the beginning. */
  readonly from?: Date | string | undefined;
  /** Recorded at this instant or before. Default: the end, as it is when reading starts. */
  readonly until?: Date | string | undefined;
  readonly types?: readonly EventType[] | undefined;
  /** Of this run alone: its id. */
  readonly run?: string | undefined;
  /** Of this task alone. */
  readonly task?: string | undefined;
  /** Goes on with what is recorded from then on, until the signal is aborted or `until` is reached. Default: false. */
  readonly follow?: boolean | undefined;
  /** Ends the reading, without an error. */
  readonly signal?: AbortSignal | undefined;
}

/** A query that was checked: instants in ms since 1970. */
export interface CheckedQuery extends Omit<LedgerQuery, "from" | "until"> {
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

/** A query, checked. Throws InvalidOption. */
export function checkQuery(query: LedgerQuery = {}): CheckedQuery {
  checkObject("query", query);
  checkKeys("events()", query, ["from", "until", "types", "run", "task", "follow", "signal"]);
  const { from, until, types, run } = query;
  if (types !== undefined && !Array.isArray(types)) throw invalidOption("types", "takes an array of event types");
  for (const type of types ?? []) oneOf("types", type, EVENT_TYPES);
  if (run !== undefined && !isRunId(run)) throw invalidOption("run", `${shown(run)} is not the id of a run`);
  return { ...query, from: instantOf("from", from), until: instantOf("until", until) };
}

function instantOf(option: string, value: Date | string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = new Date(value).getTime();
  if (Number.isNaN(ms)) throw invalidOption(option, `${shown(value)} is no instant: write 2026-01-31T06:00:00Z`);
  return ms;
}
