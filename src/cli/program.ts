import { readFileSync } from "node:fs";
import { Command } from "commander";
import type { Cli } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { EXIT_HELP } from "./exit-codes.ts";
import { addGlobalOptions, takeGlobalOptions } from "./global-options.ts";

/**
 * The command line. A command's module is loaded when its name is among the arguments: what the others need, such as the
 * drivers, would cost more time than most commands take.
 */
export async function createProgram(args: readonly string[], cli: Cli): Promise<Command> {
  const program = new Command("tasktrail")
    .description("Background jobs that leave a trail: runs workers and schedulers, and shows what they do.")
    .version(versionOf(), "-V, --version", "prints the version")
    .helpOption("-h, --help", "says what can be given")
    .helpCommand("help [command]", "says what can be given to a command")
    .addHelpText("after", `\n${EXIT_HELP}\n\nExample:\n  $ tasktrail start ./tasks.ts`)
    .configureHelp({
      showGlobalOptions: true,
      ...(cli.terminal.columns === undefined ? {} : { helpWidth: cli.terminal.columns }),
    })
    .configureOutput({ outputError: () => {}, writeErr: (text) => cli.terminal.note(text.trimEnd()) })
    .exitOverride();
  addGlobalOptions(program);
  program.hook("preAction", (_program, command) => takeGlobalOptions(command.optsWithGlobals()));
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).summary(summary).description(summary);
    if (args.includes(name)) (await load())(command, cli);
  }
  return program;
}

function versionOf(): string {
  // Next to the sources and, one folder deeper, next to what is built from them.
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as Record<
        string,
        string
      >;
      if (name === "tasktrail" && version !== undefined) return version;
    } catch {
      // not there: the other one is
    }
  }
  return "unknown";
}
