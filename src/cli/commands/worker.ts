import type { Command } from "commander";
import { createWorker } from "../../worker.ts";
import { type Cli, example } from "../command.ts";
import { loadApplication, requireTasks } from "../load.ts";
import {
  addRoleOptions,
  addWorkerOptions,
  healthPlace,
  runWatched,
  type WorkerFlags,
  workerOptions,
} from "../role-options.ts";
import { runRoles } from "../run-roles.ts";

/** `tasktrail worker APP`: runs tasks. */
export function worker(command: Command, { terminal, outcome }: Cli): void {
  addWorkerOptions(addRoleOptions(command)).action(
    async (app: string, modules: readonly string[], flags: WorkerFlags) => {
      if (flags.watch === true) {
        outcome.exitCode = await runWatched();
        return;
      }
      const application = await loadApplication({ app, modules, cwd: terminal.cwd });
      requireTasks(application, "task");
      const make = () => ({ makers: { worker: createWorker(application.broker, workerOptions(flags)) } });
      await runRoles({ application, terminal, forMs: flags.for, health: healthPlace(flags, terminal.env), make });
    },
  );
  example(
    command,
    "worker ./tasks.ts",
    'worker ./app.ts#jobs "src/**/*.tasks.ts" --concurrency 50 --queues default,mail',
  );
}
