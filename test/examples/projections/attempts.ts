import { defineProjection } from "tasktrail";
import { z } from "zod";

/** One row per attempt and delivery: who tried what, when, and how that ended. */
export const attempts = defineProjection({
  name: "attempts",
  version: 1,
  table: {
    row: z.object({
      id: z.string(),
      run: z.string(),
      task: z.string(),
      attempt: z.int(),
      delivery: z.int(),
      worker: z.string(),
      startedAt: z.int().nullable(),
      endedAt: z.int().nullable(),
      durationMs: z.number().nullable(),
      outcome: z.enum(["running", "succeeded", "failed", "died", "lost"]),
      error: z.string().nullable(),
    }),
    ddl: `
      create table attempts (
        id text primary key,
        run uuid not null,
        task text not null,
        attempt integer not null,
        delivery integer not null,
        worker text not null,
        started_at timestamptz,
        ended_at timestamptz,
        duration_ms double precision,
        outcome text not null,
        error text
      );
      create index attempts_run on attempts (run);
    `,
  },
  events: ["run.started", "run.succeeded", "run.failed", "run.died", "run.redelivered"],
  key(event) {
    // Handed to another worker: it is the delivery before that was lost.
    if (event.type === "run.redelivered") return `${event.run}/${event.attempt}/${event.delivery - 1}`;
    return event.attempt === undefined ? undefined : `${event.run}/${event.attempt}/${event.delivery ?? 1}`;
  },
  fold(row, event) {
    const delivery = event.type === "run.redelivered" ? event.delivery - 1 : (event.delivery ?? 1);
    const { run, task, attempt = 1 } = event;
    const known = row ?? {
      id: `${run}/${attempt}/${delivery}`,
      run,
      task,
      attempt,
      delivery,
      worker: event.type === "run.redelivered" ? event.from : (event.worker ?? ""),
      startedAt: null,
      endedAt: null,
      durationMs: null,
      outcome: "running",
      error: null,
    };
    switch (event.type) {
      case "run.started":
        return { ...known, worker: event.worker, startedAt: event.at };
      case "run.redelivered":
        return { ...known, endedAt: event.at, outcome: "lost" };
      case "run.succeeded":
        return { ...known, endedAt: event.at, durationMs: event.durationMs, outcome: "succeeded" };
      case "run.failed":
        return {
          ...known,
          endedAt: event.at,
          durationMs: event.durationMs,
          outcome: "failed",
          error: event.error.message,
        };
      case "run.died":
        return {
          ...known,
          endedAt: event.at,
          durationMs: event.durationMs ?? null,
          outcome: "died",
          error: event.error?.message ?? event.reason,
        };
    }
  },
});
