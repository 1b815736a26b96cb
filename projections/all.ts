import { cronJobRuns } from "./cron-job-runs.ts";
import type { AnyProjection } from "./projection.ts";
import { taskRuns } from "./task-runs.ts";

/** Every projection that comes with the engine. The projector keeps them all, in one transaction with the archive. */
export const projections: readonly AnyProjection[] = [taskRuns, cronJobRuns];
