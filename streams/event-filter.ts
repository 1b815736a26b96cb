import type { LedgerEvent, UnknownEvent } from "./events.ts";

/** What is asked for of events. Each given condition narrows. */
export interface EventFilter {
  readonly types?: readonly string[] | undefined;
  readonly run?: string | undefined;
  /** Events that name another task, or none, are left out. */
  readonly task?: string | undefined;
}

/** Whether an event is among those that are asked for. Pure. */
export function isWanted(event: LedgerEvent | UnknownEvent, { types, run, task }: EventFilter): boolean {
  const of = event as { readonly run?: string; readonly task?: string };
  if (run !== undefined && of.run !== run) return false;
  if (task !== undefined && of.task !== task) return false;
  return types === undefined || types.includes(event.type);
}
