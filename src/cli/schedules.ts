import cronstrue from "cronstrue";
import type { CronJobRun } from "../../sql/queries/cron-job-runs.ts";
import { type KeptSchedule, readSchedules, scheduleNames } from "../../streams/cron.ts";
import { type Lane, listQueues, newIncarnation, openLane } from "../../streams/lane.ts";
import { nextSlots } from "../define/pattern.ts";
import { type Definition, readDefinition } from "../schedule/definition.ts";
import { isDeclared } from "../schedule/reconcile.ts";
import type { OpenRedis } from "./servers.ts";

/** A schedule as Redis keeps it, with what follows from that. Instants in ms. */
export interface ScheduleView {
  readonly schedule: string;
  readonly queue: string;
  readonly definition: Definition;
  /** The expression in words. */
  readonly words: string;
  /** True while some scheduler has it in its code. */
  readonly isDeclared: boolean;
  readonly seenAt: number | undefined;
  /** The last slot that was acted on: fired, skipped or missed. */
  readonly lastSlot: number | undefined;
  readonly firedCount: number;
  /** Empty while it is paused, and when it has no more. */
  readonly next: readonly number[];
  /** The run that holds the overlap lock. */
  readonly lockHolder: string | undefined;
  /** Its latest row of `cron_job_runs`; undefined without Postgres, or before there is one. */
  readonly last: CronJobRun | undefined;
}

const NEXT_SLOTS = 3;
const PATIENCE_MS = 5_000;

/** Every schedule of a namespace, by name. What a newer version has written and this one cannot read is left out. */
export async function readScheduleViews(server: OpenRedis, rows: readonly CronJobRun[]): Promise<ScheduleView[]> {
  const incarnation = newIncarnation();
  const { redis, namespace } = server;
  const queues = await listQueues(redis, namespace);
  const views = await Promise.all(
    queues.map((queue) => readQueue(openLane({ redis, namespace, queue, incarnation }), rows)),
  );
  return views.flat().sort((a, b) => (a.schedule < b.schedule ? -1 : 1));
}

async function readQueue(lane: Lane, rows: readonly CronJobRun[]): Promise<ScheduleView[]> {
  const names = await scheduleNames(lane);
  if (names.length === 0) return [];
  const [kept, holders] = await Promise.all([
    readSchedules(lane, names, { deadline: performance.now() + PATIENCE_MS }),
    Promise.all(names.map((name) => lane.redis.get(lane.keys.lock(name)))),
  ]);
  return names.flatMap((schedule, index) => {
    const one = kept[index] as KeptSchedule;
    const definition = readDefinition(one.definition);
    if (definition === undefined) return [];
    const last = rows.find((row) => row.schedule === schedule && row.queue === lane.queue);
    return [toView({ schedule, lane, kept: one, definition, holder: holders[index] ?? undefined, last })];
  });
}

interface Parts {
  readonly schedule: string;
  readonly lane: Lane;
  readonly kept: KeptSchedule;
  readonly definition: Definition;
  readonly holder: string | undefined;
  readonly last: CronJobRun | undefined;
}

function toView({ schedule, lane, kept, definition, holder, last }: Parts): ScheduleView {
  const nowMs = lane.clock.now();
  return {
    schedule,
    queue: lane.queue,
    definition,
    words: wordsOf(definition.content.expression),
    isDeclared: isDeclared(kept, nowMs),
    seenAt: kept.seenAt,
    lastSlot: kept.last,
    firedCount: kept.firedCount,
    next: nextOf(definition, kept, nowMs),
    lockHolder: holder,
    last,
  };
}

function nextOf({ content, pausedAt }: Definition, { firedCount }: KeptSchedule, nowMs: number): number[] {
  const left = content.maxRuns === undefined ? NEXT_SLOTS : Math.max(0, content.maxRuns - firedCount);
  if (pausedAt !== undefined || left === 0) return [];
  const after = Math.max(nowMs, (content.startsAtMs ?? 0) - 1);
  return nextSlots(content, after, Math.min(NEXT_SLOTS, left)).filter((slot) => slot <= (content.endsAtMs ?? slot));
}

function wordsOf(expression: string): string {
  try {
    return cronstrue.toString(expression, { use24HourTimeFormat: true });
  } catch {
    return "";
  }
}
