/** The version of the entry's fields. */
export const ENTRY_VERSION = "1";

/** What travels with a run besides its input: small JSON that scripts and tools can read without touching the body. */
export interface EntryMeta {
  readonly taskVersion?: number | undefined;
  /** Redis' clock, in ms. */
  readonly enqueuedAt: number;
  /** Not before then; the wait before a start is counted from here when it is there. */
  readonly dueAt?: number | undefined;
  readonly originQueue?: string | undefined;
  readonly priority?: number | undefined;
  readonly group?: string | undefined;
  readonly parent?: string | undefined;
  readonly root?: string | undefined;
  readonly redriveOf?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Until when the idempotency key holds once the run has ended, in ms; 0: it ends with the run. */
  readonly keyUntil?: number | undefined;
  /** Policies given for this run alone. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: EntryRetry | undefined;
  readonly resultTtlMs?: number | undefined;
  /** How the body is written. Default "json"; "zstd" is base64 of zstd of it. */
  readonly codec?: "json" | "zstd" | undefined;
  readonly producer?: string | undefined;
  /** Since when no worker has known the task, in ms. */
  readonly unknownSince?: number | undefined;
  /** Set when a schedule fired it. */
  readonly cron?: EntrySlot | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** The trace context of the attempt before, for a link. */
  readonly previousTraceparent?: string | undefined;
}

/** The retry policy of one run, in milliseconds. */
export interface EntryRetry {
  readonly attempts?: number | undefined;
  readonly backoff?: "exponential" | "fixed" | undefined;
  readonly delayMs?: number | undefined;
  readonly maxDelayMs?: number | undefined;
  readonly jitter?: number | undefined;
}

/** The slot a cron run is for. Instants in ms. */
export interface EntrySlot {
  readonly schedule: string;
  readonly at: number;
  readonly previous?: number | undefined;
  readonly timezone: string;
  readonly trigger: "schedule" | "catch_up" | "backfill" | "manual";
}

/** A task entry, as it was read. Fields that a stranger left out are empty. */
export interface Entry {
  readonly v: string;
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  /** The Redis key of its idempotency key, or empty. */
  readonly key: string;
  /** It must have started by then, in ms; 0: no matter when. */
  readonly expires: number;
  /** JSON of an EntryMeta. */
  readonly meta: string;
  /** JSON of the input, or that packed as `meta.codec` says; empty for none. */
  readonly body: string;
}

/** Which stream of a lane an entry lies in: 1 `tasks`, 2 `again`. */
export type StreamNumber = 1 | 2;

/** An entry in a worker's hands. Stream, id and delivery together are its fencing token. */
export interface Delivery {
  readonly stream: StreamNumber;
  readonly id: string;
  readonly delivery: number;
  readonly entry: Entry;
  /** How often a process died while running it alone. */
  readonly strikes: number;
  /** True when a worker that held it died: it may be what killed it. */
  readonly isSuspect: boolean;
}

/** Reads an entry's fields, in any order and with any missing. Ours come in one order, in which no name needs to be looked up. */
export function toEntry(fields: readonly string[]): Entry {
  return isOurs(fields) ? ourEntry(fields) : strangeEntry(fields);
}

const NAMES = ["v", "run", "task", "attempt", "key", "expires", "meta", "body"];

function isOurs(fields: readonly string[]): boolean {
  if (fields.length !== NAMES.length * 2) return false;
  for (let i = 0; i < NAMES.length; i += 1) if (fields[i * 2] !== NAMES[i]) return false;
  return true;
}

function ourEntry(fields: readonly string[]): Entry {
  return {
    v: fields[1] as string,
    run: fields[3] as string,
    task: fields[5] as string,
    attempt: Number(fields[7]),
    key: fields[9] as string,
    expires: Number(fields[11]),
    meta: fields[13] as string,
    body: fields[15] as string,
  };
}

function strangeEntry(fields: readonly string[]): Entry {
  const found: Record<string, string> = { __proto__: null as never };
  for (let i = 0; i + 1 < fields.length; i += 2) found[fields[i] as string] = fields[i + 1] as string;
  return {
    v: found.v ?? "",
    run: found.run ?? "",
    task: found.task ?? "",
    attempt: Number(found.attempt ?? Number.NaN),
    key: found.key ?? "",
    expires: Number(found.expires ?? 0),
    meta: found.meta ?? "",
    body: found.body ?? "",
  };
}
