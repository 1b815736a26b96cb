import type { Redis } from "ioredis";
import { type EnqueueRecord, enqueue } from "../../streams/enqueue.ts";
import type { EntryMeta } from "../../streams/entry.ts";
import type { EventDraft, RecordedError } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import { type LaneKeys, laneKeys } from "../../streams/keys.ts";
import { type CallLimits, ensureLane, type Lane } from "../../streams/lane.ts";
import { bodyOf } from "../../streams/packed.ts";
import { settle } from "../../streams/settle.ts";
import { inFull } from "../../streams/trace-ids.ts";
import { readMeta } from "../execute/inspect-entry.ts";

/** A run that died, as its queue keeps it. */
export interface DeadLetter {
  /** Where it lies in the queue's list of the dead. */
  readonly id: string;
  readonly queue: string;
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  /** Such as `attempts`, `poison`, `unknown_task`. */
  readonly reason: string;
  readonly error: RecordedError | undefined;
  readonly diedAt: Date;
  /** JSON of what travelled with it. */
  readonly meta: string;
  /** As it travelled; `inputOf` reads it. */
  readonly body: string;
}

/** Which of the dead are meant. */
export interface DeadQuery {
  readonly task?: string | undefined;
  /** Runs by their ids; default: all. */
  readonly runs?: readonly string[] | undefined;
  /** At most so many, the latest first. Default 100. */
  readonly limit?: number | undefined;
}

/** Entries looked at in one command. */
const CHUNK = 200;

/** The dead of a queue, latest first. */
export async function listDead(
  redis: Redis,
  namespace: string,
  { queue, task, runs, limit = 100 }: DeadQuery & { readonly queue: string },
): Promise<DeadLetter[]> {
  const { dead } = laneKeys(namespace, queue);
  const wanted = runs === undefined ? undefined : new Set(runs);
  const found: DeadLetter[] = [];
  let before = "+";
  for (;;) {
    const entries = (await redis.xrevrange(dead, before, "-", "COUNT", CHUNK)) as [string, string[]][];
    for (const [id, fields] of entries) {
      const letter = toDeadLetter(id, fields, queue);
      if ((task !== undefined && letter.task !== task) || wanted?.has(letter.run) === false) continue;
      found.push(letter);
      if (found.length >= limit) return found;
    }
    const last = entries.at(-1);
    if (entries.length < CHUNK || last === undefined) return found;
    before = `(${last[0]}`;
  }
}

function toDeadLetter(id: string, fields: readonly string[], queue: string): DeadLetter {
  const found = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) found.set(fields[i] as string, fields[i + 1] as string);
  const text = (name: string) => found.get(name) ?? "";
  return {
    id,
    queue,
    run: text("run"),
    task: text("task"),
    attempt: Number(text("attempt")),
    reason: text("reason"),
    error: toError(text("error")),
    diedAt: new Date(Number(id.slice(0, id.indexOf("-")))),
    meta: text("meta"),
    body: text("body"),
  };
}

function toError(json: string): RecordedError | undefined {
  try {
    return (JSON.parse(json) as RecordedError | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A run that was dispatched in the place of a dead one. */
export interface Redriven {
  readonly dead: DeadLetter;
  /** The new run. */
  readonly run: string;
  /** False when it had been redriven before, and `run` is that. */
  readonly isNew: boolean;
}

/** How long a redrive is remembered, so that the same dead run is not dispatched twice, in ms. */
const REMEMBERED_MS = 30 * 86_400_000;

/**
 * Dispatches a dead run anew: a new run with the same task, input and labels, linked to the old one by `redriveOf`, since an ending
 * is never followed by another. Safe to be asked twice. Throws CallFailed, and RangeError for one whose entry could not be read.
 */
export async function redrive(lane: Lane, dead: DeadLetter, limits: CallLimits = {}): Promise<Redriven> {
  const { keys, redis } = lane;
  await ensureLane(redis, lane.namespace, lane.queue);
  const record = toRecord(lane, dead);
  const enqueued = await enqueue(lane, [record], limits);
  const existing = enqueued.existing.get(0);
  const run = existing ?? record.run;
  const note: EventDraft<"run.redriven"> = { type: "run.redriven", run: dead.run, task: dead.task, as: run };
  if (existing === undefined)
    await settle(lane, { consumer: lane.incarnation, settlements: [], notes: [note] }, limits);
  await redis.xdel(keys.dead, dead.id);
  return { dead, run, isNew: existing === undefined };
}

function toRecord(lane: Lane, dead: DeadLetter): EnqueueRecord {
  const old = readMeta(dead.meta);
  if (old === undefined || dead.task === "")
    throw new RangeError(`run ${dead.run} could not be read when it died, and cannot be run again`);
  const now = Math.trunc(lane.clock.now());
  const run = createRunIds(lane.queue)(now);
  const meta = renewed(old, dead.run, now);
  return {
    run,
    task: dead.task,
    body: dead.body,
    meta: JSON.stringify(meta),
    expires: 0,
    dueAt: 0,
    key: { name: redriveKey(lane.keys, dead), ttlMs: REMEMBERED_MS },
    event: {
      type: "run.enqueued",
      run,
      task: dead.task,
      redriveOf: dead.run,
      ...told(dead.body, old),
      ...(meta.root === undefined ? {} : { root: meta.root }),
      ...(meta.labels === undefined ? {} : { labels: meta.labels }),
      ...(meta.taskVersion === undefined ? {} : { taskVersion: meta.taskVersion }),
      ...(meta.cron === undefined
        ? {}
        : { schedule: meta.cron.schedule, slot: meta.cron.at, trigger: meta.cron.trigger }),
      ...(meta.traceparent === undefined ? {} : { traceparent: meta.traceparent }),
    },
  };
}

/** What a new run takes over from the dead one: all but what was said of that one's own life. */
function renewed(old: EntryMeta, deadRun: string, now: number): EntryMeta {
  const { dueAt: _due, unknownSince: _since, ...kept } = old;
  const traceparent = inFull(old.traceparent, { run: deadRun }); // that of another run from now on
  return {
    ...kept,
    ...(traceparent === undefined ? {} : { traceparent }),
    enqueuedAt: now,
    keyUntil: now + REMEMBERED_MS,
    redriveOf: deadRun,
    root: old.root ?? deadRun,
  };
}

function redriveKey(keys: LaneKeys, { task, run }: DeadLetter): string {
  return keys.key(task, `redrive:${run}`);
}

/** The JSON of a dead run's input; what cannot be unpacked as it lies there. Empty: it had none. */
export function inputOf(dead: Pick<DeadLetter, "meta" | "body">): string {
  try {
    return bodyOf(dead, readMeta(dead.meta) ?? {});
  } catch {
    return dead.body;
  }
}

/** What the event tells of a body that travels on as it is. */
function told(body: string, { codec }: EntryMeta): { input?: unknown; packed?: string } {
  if (codec === "zstd") return { packed: body };
  try {
    return body === "" ? {} : { input: JSON.parse(body) };
  } catch {
    return {};
  }
}
