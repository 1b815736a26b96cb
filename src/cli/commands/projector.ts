import type { Command } from "commander";
import { createProjector } from "../../projector.ts";
import { type Cli, example } from "../command.ts";
import { loadApplication } from "../load.ts";
import { addRoleOptions, healthPlace, type RoleOptions, runWatched } from "../role-options.ts";
import { runRoles } from "../run-roles.ts";

/** `tasktrail projector APP`: keeps archive and tables. */
export function projector(command: Command, { terminal, outcome }: Cli): void {
  addRoleOptions(command).action(async (app: string, modules: readonly string[], flags: RoleOptions) => {
    if (flags.watch === true) {
      outcome.exitCode = await runWatched();
      return;
    }
    const application = await loadApplication({ app, modules, cwd: terminal.cwd });
    const make = () => ({ makers: {}, projector: createProjector(application.broker) });
    await runRoles({ application, terminal, forMs: flags.for, health: healthPlace(flags, terminal.env), make });
  });
  example(command, "projector ./tasks.ts");
}
