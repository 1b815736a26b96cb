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
  /** W3C Baggage, where the dispatching process was asked to hand it on. */
  readonly baggage?: string | undefined;
  /** Set when the trace context is that of a dispatch of many runs. */
  readonly isOfMany?: boolean | undefined;
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
  /** Of a schedule that was made at run time: whether its runs exclude each other, which those of `cron()` say in the worker's code. */
  readonly lock?:
    | { readonly overlap: "skip" | "allow" | "queue_one" | "cancel_other"; readonly ttlMs: number }
    | undefined;
  /** True for slots that come all at once: they wait for each other, and are not skipped for each other. */
  readonly isOwed?: boolean | undefined;
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

/** The one field of an entry in its stream. Its parts are packed, since every value of a reply and every argument of a script costs more than cutting a text. */
export const ENTRY_FIELD = "e";

/** Between the parts of a packed entry: the one character that names, keys and JSON never hold. */
const SEPARATOR = "\0";

/** An entry as one text: `v run task attempt key expires meta body`, in this order, with U+0000 between them. Newer formats keep the first seven. */
export function packEntry(entry: Omit<Entry, "v"> & { readonly v?: string }): string {
  const { v = ENTRY_VERSION, run, task, attempt, key, expires, meta, body } = entry;
  return `${v}\0${run}\0${task}\0${attempt}\0${key}\0${expires}\0${meta}\0${body}`;
}

/** Reads an entry's fields. What is not packed as ours are becomes an entry without a version, whose body is JSON of all that was found: nothing is lost. */
export function toEntry(fields: readonly string[]): Entry {
  return createUnpacker()(fields);
}

/**
 * Reads the fields of one entry after the other, as `toEntry` does. What was dispatched together differs in run and body alone as a rule: then the rest is
 * compared with that of the entry before, in one go, and shared with it.
 */
export function createUnpacker(): (fields: readonly string[]) => Entry {
  let last: Unpacked | undefined;
  return (fields) => {
    const isOurs = fields[0] === ENTRY_FIELD && fields.length === 2;
    const unpacked = isOurs ? unpack(fields[1] as string, last) : undefined;
    if (unpacked === undefined) return { ...strangeEntry, body: JSON.stringify(fields) };
    last = unpacked;
    return unpacked.entry;
  };
}

/** An entry, and its text from the end of its run to the beginning of its body. */
interface Unpacked {
  readonly entry: Entry;
  readonly between: string;
}

function unpack(text: string, last: Unpacked | undefined): Unpacked | undefined {
  const v = text.indexOf(SEPARATOR);
  const run = text.indexOf(SEPARATOR, v + 1);
  if (last === undefined || !text.startsWith(last.between, run) || text.slice(0, v) !== last.entry.v)
    return unpackAlone(text);
  const bodyAt = run + last.between.length;
  return { entry: new UnpackedEntry(last.entry, text.slice(v + 1, run), text.slice(bodyAt)), between: last.between };
}

function unpackAlone(text: string): Unpacked | undefined {
  const v = text.indexOf(SEPARATOR);
  const run = text.indexOf(SEPARATOR, v + 1);
  const task = text.indexOf(SEPARATOR, run + 1);
  const attempt = text.indexOf(SEPARATOR, task + 1);
  const key = text.indexOf(SEPARATOR, attempt + 1);
  const expires = text.indexOf(SEPARATOR, key + 1);
  const meta = text.indexOf(SEPARATOR, expires + 1);
  if (!(v >= 0 && run > v && task > run && attempt > task && key > attempt && expires > key && meta > expires))
    return undefined;
  const common: Common = {
    v: text.slice(0, v),
    task: text.slice(run + 1, task),
    attempt: toAttempt(text.slice(task + 1, attempt)),
    key: text.slice(attempt + 1, key),
    expires: Number(text.slice(key + 1, expires)),
    meta: text.slice(expires + 1, meta),
  };
  const entry = new UnpackedEntry(common, text.slice(v + 1, run), text.slice(meta + 1));
  return { entry, between: text.slice(run, meta + 1) };
}

/** Reads a packed entry; undefined when parts are missing. */
export function unpackEntry(text: string): Entry | undefined {
  return unpackAlone(text)?.entry;
}

/** What entries that were dispatched together have in common. */
type Common = Omit<Entry, "run" | "body">;

/** Of a class, as all that each run of a worker is made into: of literals V8 soon makes old ones at once (ARCHITECTURE.md, "young"). */
class UnpackedEntry implements Entry {
  declare readonly v: string;
  declare readonly run: string;
  declare readonly task: string;
  declare readonly attempt: number;
  declare readonly key: string;
  declare readonly expires: number;
  declare readonly meta: string;
  declare readonly body: string;

  constructor({ v, task, attempt, key, expires, meta }: Common, run: string, body: string) {
    this.v = v;
    this.run = run;
    this.task = task;
    this.attempt = attempt;
    this.key = key;
    this.expires = expires;
    this.meta = meta;
    this.body = body;
  }
}

/** What Postgres' integer holds. */
const MOST_ATTEMPTS = 2_147_483_647;

/** NaN for what is no attempt of ours: rows could not carry it. */
function toAttempt(text: string): number {
  const attempt = Number(text);
  return attempt <= MOST_ATTEMPTS ? attempt : Number.NaN;
}

const strangeEntry: Entry = Object.freeze({
  v: "",
  run: "",
  task: "",
  attempt: Number.NaN,
  key: "",
  expires: 0,
  meta: "",
  body: "",
});
