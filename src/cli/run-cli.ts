import { CommanderError } from "commander";
import type { Outcome } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError, explain } from "./failure.ts";
import { createProgram } from "./program.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { cleanLines } from "./text.ts";

/** Runs the command line: gives the exit code, having told what went wrong, if anything did. */
export async function runCli(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  leaveQuietlyWhenNobodyReads();
  const outcome: Outcome = { exitCode: EXIT.ok };
  try {
    const program = await createProgram(args, { terminal, outcome });
    await program.parseAsync(args, { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    return error instanceof CommanderError ? reportUsage(error, args, terminal) : report(error, args, terminal);
  }
}

/** `tasktrail runs | head` ends when head has seen enough: that is no failure. */
function leaveQuietlyWhenNobodyReads(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) =>
      process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.internal),
    );
  }
}

function report(error: unknown, args: readonly string[], terminal: Terminal): number {
  const { message, advice, exitCode } = explain(error);
  terminal.note(`${terminal.noteStyle("red", "error:")} ${cleanLines(message)}`);
  if (advice !== undefined) terminal.note(cleanLines(advice));
  if (args.includes("--verbose")) terminal.note(terminal.noteStyle("dim", cleanLines(traceOf(error))));
  return exitCode;
}

/** Help and version were printed by commander; what it throws of mistakes has not been told yet. */
function reportUsage(error: CommanderError, args: readonly string[], terminal: Terminal): number {
  if (error.exitCode === 0) return EXIT.ok;
  if (error.code === "commander.help") return EXIT.usage;
  const message = error.message.replace(/^error: /, "");
  terminal.note(`${terminal.noteStyle("red", "error:")} ${cleanLines(message)}`);
  const name = args.find((arg) => COMMANDS.some((command) => command.name === arg));
  terminal.note(`Options and examples: tasktrail ${name === undefined ? "" : `${name} `}--help`);
  return EXIT.usage;
}

function traceOf(error: unknown): string {
  const told = error instanceof CliError && error.cause !== undefined ? error.cause : error;
  if (!(told instanceof Error)) return String(told);
  const below = told.cause === undefined ? "" : `\ncaused by: ${traceOf(told.cause)}`;
  return (told.stack ?? told.message) + below;
}
