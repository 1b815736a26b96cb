import { createHash } from "node:crypto";
import type { EventDraft } from "../../streams/events.ts";
import { DEFAULTS } from "../defaults.ts";
import type { Pattern } from "../define/pattern.ts";
import type { CronRecord, TaskRecord } from "../define/task.ts";

/** The newest format of a definition that this version reads, and the one it writes. */
const FORMAT = 1;

/** What a schedule is to do, apart from when it began: what a redeploy may leave as it was. */
export interface ScheduleContent extends CronRecord {
  readonly task: string;
  /** The version of the task that the input is of. Absent: 1. */
  readonly taskVersion?: number | undefined;
  /** JSON of the input of its runs; absent: none, as for all of `cron()`. */
  readonly input?: string | undefined;
}

/** A schedule as Redis keeps it. Instants in ms. */
export interface Definition {
  readonly format: number;
  readonly content: ScheduleContent;
  /** The same for the same content. */
  readonly hash: string;
  /** `declared`: by `cron()` in the code of schedulers. `run_time`: by a call. */
  readonly source: "declared" | "run_time";
  /** Since when there is such a schedule. */
  readonly createdAt?: number | undefined;
  /** Since when its slots are these: no slot up to then is owed. */
  readonly changedAt: number;
  /** Since when it fires nothing. */
  readonly pausedAt?: number | undefined;
  /** Its latest pause, once it is over. */
  readonly pause?: { readonly from: number; readonly until: number } | undefined;
  /** The queue that it is on its way to: it fires nothing here any more. */
  readonly leavingTo?: string | undefined;
  /** Since when it is on its way, and what it is to do there. */
  readonly leavingAt?: number | undefined;
  readonly arriving?: ScheduleContent | undefined;
  /** Hashes that were declared before this one, newest first: a scheduler that still declares one of them is an old one. */
  readonly replaced: readonly string[];
}

/** What a cron says in code. */
export function contentOf({ name, version, cron }: TaskRecord & { readonly cron: CronRecord }): ScheduleContent {
  return { task: name, ...versionOf(version), ...cron };
}

/** A task's version as contents and entries state it: not at all when it is the first. */
export function versionOf(version: number | undefined): { readonly taskVersion?: number } {
  return version === undefined || version === DEFAULTS.version ? {} : { taskVersion: version };
}

/** A short hash of a schedule's content: equal for equal content, in any order of properties. */
export function hashOf(content: ScheduleContent): string {
  const known = Object.entries(content).filter(([, value]) => value !== undefined);
  const sorted = known.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha1").update(JSON.stringify(sorted)).digest("hex").slice(0, 16);
}

/** True when two contents have the same slots. */
export function hasSameSlots(one: ScheduleContent, other: ScheduleContent): boolean {
  return one.expression === other.expression && one.timezone === other.timezone && one.startsAtMs === other.startsAtMs;
}

/** A definition as text. */
export function writeDefinition(definition: Definition): string {
  return JSON.stringify(definition);
}

/** A definition from its text; undefined when it is none, or of a format that is newer than this version. */
export function readDefinition(text: string | undefined): Definition | undefined {
  if (text === undefined) return undefined;
  try {
    const found = JSON.parse(text) as Partial<Definition> | null;
    const isOurs =
      found?.format !== undefined &&
      found.format <= FORMAT &&
      typeof found.changedAt === "number" &&
      typeof found.content?.expression === "string" &&
      typeof found.content.timezone === "string";
    return isOurs ? (found as Definition) : undefined;
  } catch {
    return undefined;
  }
}

/** A pattern as it is noted beside the stretches of slots that fired. */
export function patternText({ expression, timezone }: Pattern): string {
  return `${expression}\t${timezone}`;
}

/** The pattern whose slots have ended, when another one is about to take its place. */
export function endedPattern(before: Definition | undefined, next: Definition): string | undefined {
  const isOther = before !== undefined && !hasSameSlots(before.content, next.content);
  return isOther ? patternText(before.content) : undefined;
}

/** True when it fires nothing until it is resumed, or wherever it is on its way to. */
export function isResting({ pausedAt, leavingTo }: Definition): boolean {
  return pausedAt !== undefined || leavingTo !== undefined;
}

/** Hashes kept of what was declared before. */
const REPLACED_KEPT = 8;

/** What a definition is made of. */
export interface Changing {
  readonly content: ScheduleContent;
  readonly before: Definition | undefined;
  readonly nowMs: number;
  readonly source: Definition["source"];
}

/** What comes of content where another definition stands, or none. Does not judge whether it should. */
export function changed({ content, before, nowMs, source }: Changing): Definition {
  const hash = hashOf(content);
  const isSame = before !== undefined && hasSameSlots(before.content, content);
  const replaced = before === undefined ? [] : [before.hash, ...before.replaced].filter((one) => one !== hash);
  return {
    format: FORMAT,
    content,
    hash,
    source,
    createdAt: before === undefined ? nowMs : (before.createdAt ?? before.changedAt),
    changedAt: isSame ? before.changedAt : nowMs,
    ...(before?.pausedAt === undefined ? {} : { pausedAt: before.pausedAt }),
    ...(isSame && before.pause !== undefined ? { pause: before.pause } : {}),
    replaced: replaced.slice(0, REPLACED_KEPT),
  };
}

/** The event that tells of a definition. */
export function upserted(schedule: string, { content, source }: Definition): EventDraft<"schedule.upserted"> {
  const { task, expression, timezone } = content;
  return { type: "schedule.upserted", schedule, task, expression, timezone, source };
}
