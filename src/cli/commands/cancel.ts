import type { Command } from "commander";
import { createBroker } from "../../broker.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { findRunId } from "../find-run.ts";
import { connectRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";

interface Options {
  readonly reason?: string;
}

/** `tasktrail cancel RUN`: ends a waiting run, asks a running one to end. */
export function cancel(command: Command, { terminal }: Cli): void {
  command
    .argument("<run>", "the run's id, or its end")
    .option("--reason <text>", "why; it is recorded")
    .action((run: string, options: Options) => ask(run, options, terminal));
  example(command, 'cancel 01a20722-a4d2-7505-aeb9-c2a4f8bd9076 --reason "wrong address"');
}

async function ask(text: string, { reason }: Options, terminal: Terminal): Promise<void> {
  const id = await idOf(text, terminal);
  await using broker = createBroker();
  const handle = broker.handle(id);
  const status = await handle.status();
  if (status === "unknown") {
    throw new CliError(EXIT.failed, `No run ${id} is known.`, { advice: "Check the id and the namespace." });
  }
  if (!(await handle.cancel(reason))) throw new CliError(EXIT.failed, `Run ${id} has ended already.`);
  const now = await handle.status();
  terminal.line(now === "cancelled" ? `cancelled ${id}` : `asked for the end of ${id}, which is ${now}`);
}

async function idOf(text: string, terminal: Terminal): Promise<string> {
  using server = await connectRedis(terminal.env);
  return await findRunId(text, { server });
}
