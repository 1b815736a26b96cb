import cronstrue from "cronstrue";
import type { Redis } from "ioredis";
import type { CronJobRun } from "../../sql/queries/cron-job-runs.ts";
import { listQueues, newIncarnation, openLane } from "../../streams/lane.ts";
import { type ScheduleView as KeptView, viewSchedules } from "../schedule/view.ts";
import type { OpenRedis } from "./servers.ts";

/** A schedule as Redis keeps it, with what people want to know of it. Instants in ms. */
export interface ScheduleView extends KeptView {
  /** The expression in words. */
  readonly words: string;
  /** Its latest row of `cron_job_runs`; undefined without Postgres, or before there is one. */
  readonly last: CronJobRun | undefined;
}

const PATIENCE_MS = 5_000;

/** Every schedule of a namespace, by name. What a newer version has written and this one cannot read is left out. `lockServers`: default, where the queues are. */
export async function readScheduleViews(
  server: OpenRedis,
  rows: readonly CronJobRun[],
  lockServers?: readonly Redis[],
): Promise<ScheduleView[]> {
  const incarnation = newIncarnation();
  const { redis, namespace } = server;
  const queues = await listQueues(redis, namespace);
  const limits = { deadline: performance.now() + PATIENCE_MS };
  const views = await Promise.all(
    queues.map((queue) => viewSchedules(openLane({ redis, namespace, queue, incarnation }), limits, lockServers)),
  );
  const all = views.flat().map((view) => ({ ...view, words: wordsOf(view), last: lastOf(view, rows) }));
  return all.sort((a, b) => (a.schedule < b.schedule ? -1 : 1));
}

function lastOf({ schedule, queue }: KeptView, rows: readonly CronJobRun[]): CronJobRun | undefined {
  return rows.find((row) => row.schedule === schedule && row.queue === queue);
}

function wordsOf({ definition }: KeptView): string {
  try {
    return cronstrue.toString(definition.content.expression, { use24HourTimeFormat: true });
  } catch {
    return "";
  }
}
