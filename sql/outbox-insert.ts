/**
 * Writes rows into the outbox: one parameter, a JSON array of `{ lane, item, record }`, so that any driver can run it. Apart from the
 * relay's statements, since an application may have no slonik.
 */
export const insertOutbox = `
  insert into tasktrail_outbox (lane, item, record)
  select lane, item, record from json_to_recordset(cast($1 as text)::json) as item (lane text, item text, record text)`;

/** A row as it is written. */
export interface OutboxRow {
  readonly lane: string;
  /** The run's id, or the event's. */
  readonly item: string;
  /** JSON of what is dispatched or published. */
  readonly record: string;
}

/** The lane of a queue's runs. */
export function outboxLane(namespace: string, queue: string): string {
  return `${namespace}:${queue}`;
}

/** The lane of a namespace's domain events. No queue has this name, since none has a colon. */
export function topicsLane(namespace: string): string {
  return `${namespace}::topics`;
}
