import type { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** What every command gets. */
export interface Cli {
  readonly terminal: Terminal;
  readonly outcome: Outcome;
}

/** What a command says about how it went when it has explained that already, as with findings. */
export interface Outcome {
  exitCode: number;
}

/** Gives a command its arguments, options, examples and action. */
export type Declare = (command: Command, cli: Cli) => void;

/** Adds examples to a command's help. */
export function example(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? "Example" : "Examples";
  return command.addHelpText("after", `\n${title}:\n${lines.map((line) => `  $ tasktrail ${line}`).join("\n")}`);
}
