import { z } from "zod";
import { EVENT_VERSION } from "./event-version.ts";

/** An error as the ledger keeps it: normalised, cut to size, and free of what Postgres cannot store. */
export const recordedError = z.object({
  /** The error's class or code, of few different values: `TypeError`, `ECONNREFUSED`. */
  type: z.string(),
  message: z.string(),
  stack: z.string().optional(),
  code: z.string().optional(),
  /** The same for errors that differ only in numbers, ids and paths. */
  fingerprint: z.string(),
  truncated: z.boolean().optional(),
});

const ms = z.number();
const count = z.int().nonnegative();

const recorded = z.object({
  v: z.literal(EVENT_VERSION),
  /** When it happened, in milliseconds since 1970 on Redis' clock. */
  at: ms,
  /** Where it stands: `queue/incarnation/ms-seq/index`. Given by readers; never stored. */
  position: z.string().optional(),
  /** The W3C trace context in which it happened. */
  traceparent: z.string().optional(),
  /** The trace id of `traceparent`. Given by readers; never stored. */
  traceId: z.string().optional(),
});

const ofRun = recorded.extend({ run: z.string(), task: z.string(), queue: z.string() });
const ofAttempt = ofRun.extend({ attempt: count, delivery: count, worker: z.string() });
const ofSlot = recorded.extend({ schedule: z.string(), task: z.string(), queue: z.string(), slot: ms });
const ofWorker = recorded.extend({ worker: z.string(), queue: z.string() });
const ofLane = recorded.extend({ queue: z.string() });
const ofSchedule = recorded.extend({ schedule: z.string(), task: z.string(), queue: z.string() });

/** Why a slot fired: on time, late, asked for by a backfill, or by hand. */
export const slotTrigger = z.enum(["schedule", "catch_up", "backfill", "manual"]);

const lifecycle = {
  "run.enqueued": ofRun.extend({
    input: z.unknown().optional(),
    /** Stands in for a large input as it is stored: base64 of zstd of its JSON. Readers hand on `input`. */
    packed: z.string().optional(),
    taskVersion: count.optional(),
    /** Not before then. */
    dueAt: ms.optional(),
    expiresAt: ms.optional(),
    key: z.string().optional(),
    schedule: z.string().optional(),
    slot: ms.optional(),
    trigger: slotTrigger.optional(),
    parent: z.string().optional(),
    root: z.string().optional(),
    redriveOf: z.string().optional(),
    /** Set when its trace context is that of a dispatch of many runs. */
    isOfMany: z.boolean().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    /** What else travels with the run, so that its entry can be made again from the archive: policies of this run alone, and others. */
    timeoutMs: ms.optional(),
    retry: z.record(z.string(), z.unknown()).optional(),
    keyUntil: ms.optional(),
    timezone: z.string().optional(),
    previousSlot: ms.optional(),
    lock: z.object({ overlap: z.enum(["skip", "allow", "queue_one", "cancel_other"]), ttlMs: ms }).optional(),
    isOwed: z.boolean().optional(),
    tracestate: z.string().optional(),
  }),
  "run.due": ofRun.extend({ attempt: count.optional() }),
  "run.started": ofAttempt.extend({
    /** Milliseconds from being due to being started. */
    waitedMs: ms.optional(),
    schedule: z.string().optional(),
    slot: ms.optional(),
  }),
  "run.failed": ofAttempt.extend({ error: recordedError, durationMs: ms, retryAt: ms.optional() }),
  "run.released": ofRun.extend({ attempt: count, delivery: count, worker: z.string(), from: z.string() }),
  "run.redelivered": ofRun.extend({ attempt: count, delivery: count, from: z.string(), to: z.string() }),
  "run.deferred": ofRun.extend({
    attempt: count.optional(),
    reason: z.string(),
    retryAt: ms,
    worker: z.string().optional(),
  }),
  "run.recovered": ofRun.extend({ attempt: count, delivery: count, to: z.string() }),
  /** Redis had lost it with its tail, and it is back from the archive. */
  "run.restored": ofRun.extend({
    reason: z.string().optional(),
    attempt: count.optional(),
    /** Not before then. */
    dueAt: ms.optional(),
  }),

  "run.succeeded": ofAttempt.extend({ durationMs: ms, result: z.unknown().optional() }),
  "run.died": ofRun.extend({
    /** `attempts`, `poison`, `unknown_task`, `invalid_input`, `undecodable`, `expired`; open, for those to come. */
    reason: z.string(),
    attempt: count.optional(),
    delivery: count.optional(),
    worker: z.string().optional(),
    error: recordedError.optional(),
    durationMs: ms.optional(),
  }),
  "run.cancelled": ofRun.extend({
    reason: z.string().optional(),
    attempt: count.optional(),
    worker: z.string().optional(),
    durationMs: ms.optional(),
  }),
  "run.skipped": ofRun.extend({
    reason: z.string(),
    /** The run that held the overlap lock. */
    holder: z.string().optional(),
    schedule: z.string().optional(),
    slot: ms.optional(),
    attempt: count.optional(),
    worker: z.string().optional(),
  }),
  /** Its entry was gone while a worker held it. The run's id is known only when the archive is asked for it. */
  "run.lost": recorded.extend({
    queue: z.string(),
    /** Empty for a scheduled run, which had none yet. */
    entry: z.string(),
    run: z.string().optional(),
    task: z.string().optional(),
    /** The worker that held it. */
    from: z.string().optional(),
  }),
} as const;

const notes = {
  "run.progressed": ofAttempt.extend({ done: z.number(), total: z.number().optional(), note: z.string().optional() }),
  "run.cancel_requested": recorded.extend({
    queue: z.string(),
    run: z.string(),
    task: z.string().optional(),
    reason: z.string().optional(),
  }),
  "run.fenced": ofAttempt.extend({ refused: z.string() }),
  /** A dispatch of the outbox whose key another run had: it has become no run, and `existing` stands for it. */
  "run.joined": ofRun.extend({ existing: z.string() }),
  "run.redriven": ofRun.extend({ as: z.string() }),
  /** Its entry came back with a history of before its ending, which the archive has: the entry is gone again. */
  "run.withdrawn": ofRun.extend({ ending: z.string(), reason: z.string() }),
  "run.overran": ofAttempt.extend({ reason: z.string() }),
  "slot.fired": ofSlot.extend({
    run: z.string(),
    trigger: slotTrigger,
    lateMs: ms,
    timezone: z.string(),
    scheduledLocal: z.string().optional(),
  }),
  "slot.skipped": ofSlot.extend({ run: z.string().optional(), reason: z.string(), holder: z.string().optional() }),
  /** The slots from `slot` to `until`, both included, did not fire. */
  "slot.missed": ofSlot.extend({
    until: ms,
    missedCount: count,
    /** True when counting was given up: there were `missedCount` of them or more. */
    isAtLeast: z.boolean().optional(),
    /** `window`, `cap`, `misfire_skip` or `misfire_fire_once`; open, for those to come. */
    reason: z.string(),
  }),
  "schedule.upserted": ofSchedule.extend({ expression: z.string(), timezone: z.string(), source: z.string() }),
  "schedule.paused": ofSchedule,
  "schedule.resumed": ofSchedule,
  "schedule.removed": ofSchedule,
  "lane.paused": ofLane,
  "lane.resumed": ofLane,
  /** A batch of the outbox was taken into the lane; its runs that are new stand right before it. */
  "outbox.relayed": ofLane.extend({ batch: count, runCount: count }),
  /** An event of a topic did not fit the task that subscribes to it, and has become no run. */
  "event.refused": ofLane.extend({
    topic: z.string(),
    group: z.string(),
    task: z.string(),
    event: z.string(),
    /** Its id in the topic's stream. */
    entry: z.string(),
    reason: z.string(),
  }),
  /** The ledger was not the one that is archived: a new life of the lane begins. */
  "lane.regressed": ofLane.extend({ expected: z.string(), found: z.string().optional() }),
  /** What that had cost is mended, as far as the archive knew of it. */
  "lane.repaired": ofLane.extend({ restoredCount: count, withdrawnCount: count, lostCount: count.optional() }),
  "ledger.gap": ofLane.extend({ before: z.string(), entryCount: count }),
  "worker.started": ofWorker.extend({ host: z.string(), pid: z.int(), concurrency: count }),
  "worker.stopped": ofWorker,
  "worker.lost": ofWorker.extend({ by: z.string() }),
} as const;

/** The schema of each event, by its type. */
export const eventSchemas = { ...lifecycle, ...notes };

/** The event, checked against its schema. Throws a ZodError that names the field. */
export function parseEvent<Type extends keyof typeof eventSchemas>(value: { readonly type: Type }) {
  return { type: value.type, ...eventSchemas[value.type].parse(value) };
}
