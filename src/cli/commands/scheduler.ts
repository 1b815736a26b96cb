import type { Command } from "commander";
import { createScheduler } from "../../scheduler.ts";
import { type Cli, example } from "../command.ts";
import { loadApplication, requireTasks } from "../load.ts";
import { addRoleOptions, healthPlace, type RoleOptions, runWatched } from "../role-options.ts";
import { runRoles } from "../run-roles.ts";

/** `tasktrail scheduler APP`: fires crons. */
export function scheduler(command: Command, { terminal, outcome }: Cli): void {
  addRoleOptions(command).action(async (app: string, modules: readonly string[], flags: RoleOptions) => {
    if (flags.watch === true) {
      outcome.exitCode = await runWatched();
      return;
    }
    const application = await loadApplication({ app, modules, cwd: terminal.cwd });
    requireTasks(application, "cron");
    const make = () => ({ makers: { scheduler: createScheduler(application.broker) } });
    await runRoles({ application, terminal, forMs: flags.for, health: healthPlace(flags, terminal.env), make });
  });
  example(command, "scheduler ./tasks.ts");
}
