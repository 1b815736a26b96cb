import { createInterface } from "node:readline/promises";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** Asks on the terminal whether to do it, unless `yes` was given. Throws CliError where nobody can be asked. */
export async function isConfirmed(
  what: string,
  { yes, terminal }: { readonly yes: boolean | undefined; readonly terminal: Terminal },
): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY) throw new CliError(EXIT.usage, `${what}.`, { advice: "Add --yes to do it." });
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${what}. Go on? [y/N] `);
  prompt.close();
  terminal.note("");
  return /^y(es)?$/i.test(answer.trim());
}
