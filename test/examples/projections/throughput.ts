import { defineProjection } from "tasktrail";
import { z } from "zod";

const MINUTE_MS = 60_000;

/** What each task did in each minute: how many attempts ended, how, and how long they took and waited. */
export const throughput = defineProjection({
  name: "throughput",
  version: 1,
  table: {
    row: z.object({
      id: z.string(),
      task: z.string(),
      minute: z.date(),
      succeeded: z.int(),
      failed: z.int(),
      durationMsSum: z.number(),
      durationMsMax: z.number(),
      waitedMsSum: z.number(),
      started: z.int(),
    }),
    ddl: `
      create table throughput (
        id text primary key,
        task text not null,
        minute timestamptz not null,
        succeeded integer not null,
        failed integer not null,
        duration_ms_sum double precision not null,
        duration_ms_max double precision not null,
        waited_ms_sum double precision not null,
        started integer not null
      );
      create index throughput_minute on throughput (minute, task);
    `,
  },
  events: ["run.started", "run.succeeded", "run.failed", "run.died"],
  key: (event) => `${event.task} ${minuteOf(event.at).toISOString()}`,
  fold(row, event) {
    const minute = minuteOf(event.at);
    const known = row ?? {
      id: `${event.task} ${minute.toISOString()}`,
      task: event.task,
      minute,
      succeeded: 0,
      failed: 0,
      durationMsSum: 0,
      durationMsMax: 0,
      waitedMsSum: 0,
      started: 0,
    };
    if (event.type === "run.started")
      return { ...known, started: known.started + 1, waitedMsSum: known.waitedMsSum + (event.waitedMs ?? 0) };
    const durationMs = event.durationMs ?? 0;
    const isGood = event.type === "run.succeeded";
    return {
      ...known,
      succeeded: known.succeeded + (isGood ? 1 : 0),
      failed: known.failed + (isGood ? 0 : 1),
      durationMsSum: known.durationMsSum + durationMs,
      durationMsMax: Math.max(known.durationMsMax, durationMs),
    };
  },
});

function minuteOf(at: number): Date {
  return new Date(at - (at % MINUTE_MS));
}
