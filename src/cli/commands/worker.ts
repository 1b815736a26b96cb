import type { Command } from "commander";
import { createWorker } from "../../worker.ts";
import { type Cli, example } from "../command.ts";
import { runsRoles } from "../role-command.ts";
import { addWorkerOptions, type WorkerFlags, workerOptions } from "../role-options.ts";

/** `tasktrail worker APP`: runs tasks. */
export function worker(command: Command, cli: Cli): void {
  const asked = runsRoles<WorkerFlags>(command, cli, {
    needs: "task",
    make: ({ broker }, flags) => ({ makers: { worker: createWorker(broker, workerOptions(flags)) } }),
  });
  addWorkerOptions(asked);
  example(
    command,
    "worker ./tasks.ts",
    'worker ./app.ts#jobs "src/**/*.tasks.ts" --concurrency 50 --queues default,mail',
  );
}
