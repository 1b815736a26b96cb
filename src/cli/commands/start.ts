import type { Command } from "commander";
import { createProjector } from "../../projector.ts";
import { createScheduler } from "../../scheduler.ts";
import { createWorker } from "../../worker.ts";
import { type Cli, example } from "../command.ts";
import type { Application } from "../load.ts";
import { runsRoles } from "../role-command.ts";
import {
  addProjectorOptions,
  addWorkerOptions,
  type ProjectorFlags,
  projectorOptions,
  type WorkerFlags,
  workerOptions,
} from "../role-options.ts";
import type { RoleSet } from "../run-roles.ts";

/** `tasktrail start APP`: worker, scheduler and projector in one process. */
export function start(command: Command, cli: Cli): void {
  addProjectorOptions(addWorkerOptions(runsRoles<Flags>(command, cli, { needs: "task", make: makeAll })));
  example(command, "start ./tasks.ts", "start ./tasks.ts --watch --concurrency 20");
}

type Flags = WorkerFlags & ProjectorFlags;

function makeAll({ broker, engine }: Application, flags: Flags): RoleSet {
  const hasCrons = engine.records.some(({ cron }) => cron !== undefined);
  const hasDatabase = engine.database !== undefined;
  if (!hasDatabase) {
    engine.logger.warn(
      {},
      "no Postgres is named, so there is no projector: no archive, no task_runs, no cron_job_runs. Set DATABASE_URL",
    );
  }
  return {
    makers: {
      worker: createWorker(broker, workerOptions(flags)),
      ...(hasCrons ? { scheduler: createScheduler(broker) } : {}),
    },
    projector: hasDatabase ? createProjector(broker, projectorOptions(flags)) : undefined,
  };
}
