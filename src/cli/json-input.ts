import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

/**
 * The input that a command line gives: JSON itself, `@file` for what is in a file, `-` for what comes on stdin. None: undefined.
 * Throws CliError, with line and column of the first mistake.
 */
export function readInput(given: string | undefined, cwd: string): unknown {
  if (given === undefined) return undefined;
  const text =
    given === "-"
      ? readSource(0, "stdin")
      : given.startsWith("@")
        ? readSource(resolve(cwd, given.slice(1)), given.slice(1))
        : given;
  if (text.trim() === "") {
    throw new CliError(EXIT.usage, "The input is empty.", { advice: "Leave it out for a task without input." });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw notJson(text, error as Error);
  }
}

function readSource(source: number | string, name: string): string {
  try {
    return readFileSync(source, "utf8").replace(/^\ufeff/, "");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(
      EXIT.usage,
      `The input cannot be read from ${name}: ${code === "ENOENT" ? "there is no such file" : message}`,
      {
        cause: error,
      },
    );
  }
}

function notJson(text: string, cause: Error): CliError {
  const at = firstMistake(text) ?? text.length;
  const before = text.slice(0, at).split("\n");
  const column = (before.at(-1)?.length ?? 0) + 1;
  const line = text.split("\n")[before.length - 1] ?? "";
  // Of a long line, what is around the mistake.
  const from = Math.max(0, column - 41);
  const excerpt = `${line.slice(from, from + 70)}\n${" ".repeat(column - 1 - from)}^`;
  const said = at >= text.length ? "it ends too early" : `unexpected ${JSON.stringify(text[at])}`;
  return new CliError(
    EXIT.usage,
    `The input is not JSON: ${said} at line ${before.length}, column ${column}\n${excerpt}`,
    {
      advice: `Quote it for the shell, as in '{"userId":"abc"}', or give @file.json, or - for stdin.`,
      cause,
    },
  );
}

const BLANK = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has them escaped
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SCALAR = new RegExp(`${STRING.source}|-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|true|false|null`, "y");

/** Where JSON stops being JSON; undefined when it does not. What `JSON.parse` says of a mistake often leaves out its place. */
export function firstMistake(text: string): number | undefined {
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at += found[0].length;
    return found !== null;
  };
  const sign = (character: string): boolean => {
    take(BLANK);
    if (text[at] !== character) return false;
    at += 1;
    return true;
  };
  const list = (end: string, item: () => boolean): boolean => {
    if (sign(end)) return true;
    do if (!item()) return false;
    while (sign(","));
    return sign(end);
  };
  const value = (): boolean => {
    if (sign("{")) return list("}", () => take(BLANK) && take(STRING) && sign(":") && value());
    if (sign("[")) return list("]", value);
    return take(SCALAR);
  };
  const isWhole = value() && take(BLANK) && at === text.length;
  return isWhole ? undefined : at;
}
