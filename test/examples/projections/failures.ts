import { defineProjection } from "tasktrail";
import { z } from "zod";

/** Failures that are alike, as one row: how many, since when, and the latest message. */
export const failures = defineProjection({
  name: "failures",
  version: 1,
  table: {
    row: z.object({
      fingerprint: z.string(),
      task: z.string(),
      type: z.string(),
      count: z.int(),
      firstAt: z.int(),
      lastAt: z.int(),
      lastRun: z.string(),
      lastMessage: z.string(),
    }),
    ddl: `
      create table failures (
        fingerprint text primary key,
        task text not null,
        type text not null,
        count integer not null,
        first_at timestamptz not null,
        last_at timestamptz not null,
        last_run uuid not null,
        last_message text not null
      );
      create index on failures (last_at desc);
    `,
  },
  events: ["run.failed", "run.died"],
  key: (event) => event.error?.fingerprint,
  fold: (row, event) => ({
    fingerprint: event.error?.fingerprint ?? "",
    task: event.task,
    type: event.error?.type ?? "",
    count: (row?.count ?? 0) + 1,
    firstAt: row?.firstAt ?? event.at,
    lastAt: event.at,
    lastRun: event.run,
    lastMessage: event.error?.message ?? "",
  }),
});
