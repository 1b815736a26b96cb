import type { Command } from "commander";
import type { Cli } from "./command.ts";
import { type Application, loadApplication, requireTasks } from "./load.ts";
import { addRoleOptions, healthPlace, type RoleOptions, runWatched } from "./role-options.ts";
import { type RoleSet, runRoles } from "./run-roles.ts";

/** A command that runs roles of an application. */
export interface RoleCommand<Flags> {
  /** What the application has to declare at least one of. Default: nothing. */
  readonly needs?: "task" | "cron";
  make(application: Application, flags: Flags): RoleSet;
}

/** Gives a command APP and the options of every role, and has it run them until a signal. */
export function runsRoles<Flags extends RoleOptions>(
  command: Command,
  { terminal, outcome }: Cli,
  { needs, make }: RoleCommand<Flags>,
): Command {
  return addRoleOptions(command).action(async (app: string, modules: readonly string[], flags: Flags) => {
    if (flags.watch === true) {
      outcome.exitCode = await runWatched();
      return;
    }
    const application = await loadApplication({ app, modules, cwd: terminal.cwd });
    if (needs !== undefined) requireTasks(application, needs);
    await runRoles({
      application,
      terminal,
      forMs: flags.for,
      health: healthPlace(flags, terminal.env),
      make: () => make(application, flags),
    });
  });
}
