import type { Command } from "commander";
import { createProjector } from "../../projector.ts";
import { type Cli, example } from "../command.ts";
import { runsRoles } from "../role-command.ts";

/** `tasktrail projector APP`: keeps archive and tables. */
export function projector(command: Command, cli: Cli): void {
  runsRoles(command, cli, { make: ({ broker }) => ({ makers: {}, projector: createProjector(broker) }) });
  example(command, "projector ./tasks.ts");
}
