import type { Command } from "commander";
import type { Cli } from "../command.ts";
/** x */
export function dead(command: Command, cli: Cli): void {
  void command;
  void cli;
}
