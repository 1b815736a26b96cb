import type { Command } from "commander";
import { createProjector } from "../../projector.ts";
import { type Cli, example } from "../command.ts";
import { runsRoles } from "../role-command.ts";
import { addProjectorOptions, type ProjectorFlags, projectorOptions } from "../role-options.ts";

/** `tasktrail projector APP`: keeps archive and tables. */
export function projector(command: Command, cli: Cli): void {
  addProjectorOptions(
    runsRoles<ProjectorFlags>(command, cli, {
      make: ({ broker }, flags) => ({ makers: {}, projector: createProjector(broker, projectorOptions(flags)) }),
    }),
  );
  example(command, "projector ./tasks.ts", "projector ./tasks.ts --keep-tail 6h --keep-archive 90d");
}
