import { styleText } from "node:util";
import type { Environment } from "../config.ts";
import { type Column, renderTable } from "./table.ts";

/** What a text may look like. */
export type Style = Parameters<typeof styleText>[0];

/** Where a command reads its surroundings and writes what it has to say: data to stdout, all else to stderr. */
export interface Terminal {
  readonly env: Environment;
  /** The folder that the command was given in. */
  readonly cwd: string;
  /** True when a person reads what goes to stderr. */
  readonly isInteractive: boolean;
  /** Width of the terminal, or COLUMNS; undefined when stdout goes to a file or a pipe: then nothing is cut. */
  readonly columns: number | undefined;
  /** The same for stderr. */
  readonly noteColumns: number | undefined;
  /** Writes a line of data. */
  line(text?: string): void;
  /** Writes one JSON document on one line (NDJSON). */
  json(value: unknown): void;
  /** Writes a table that fits. */
  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void;
  /** Writes a line to stderr: what is no data. */
  note(text: string): void;
  /** Colours a text for stdout, unless NO_COLOR or a pipe forbids it. */
  style(style: Style, text: string): string;
  /** Colours a text for stderr, likewise. */
  noteStyle(style: Style, text: string): string;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return createTerminal({ stdout: process.stdout, stderr: process.stderr, env: process.env, cwd: process.cwd() });
}

/** What a terminal is made of. */
export interface Surroundings {
  readonly stdout: Pick<NodeJS.WriteStream, "write"> & Partial<NodeJS.WriteStream>;
  readonly stderr: Pick<NodeJS.WriteStream, "write"> & Partial<NodeJS.WriteStream>;
  readonly env: Environment;
  readonly cwd: string;
}

/** A terminal over two streams. */
export function createTerminal({ stdout, stderr, env, cwd }: Surroundings): Terminal {
  const painter = (stream: Surroundings["stdout"]) => {
    const isPlain = !isColoured(stream, env);
    return (style: Style, text: string) => (isPlain ? text : styleText(style, text, { validateStream: false }));
  };
  const [style, noteStyle] = [painter(stdout), painter(stderr)];
  const columns = columnsOf(stdout, env);
  const line = (text = "") => void stdout.write(`${text}\n`);
  return {
    env,
    cwd,
    isInteractive: stderr.isTTY === true,
    columns,
    noteColumns: columnsOf(stderr, env),
    line,
    json: (value) => line(escaped(JSON.stringify(value))),
    table: (rows, shape) => {
      for (const text of renderTable(rows, shape, { columns, title: (title) => style("dim", title) })) line(text);
    },
    note: (text) => void stderr.write(`${text}\n`),
    style,
    noteStyle,
  };
}

function columnsOf(stream: Surroundings["stdout"], env: Environment): number | undefined {
  if (Number(env.COLUMNS) > 0) return Number(env.COLUMNS);
  // A terminal that does not know its width says 0.
  return stream.isTTY === true ? stream.columns || 80 : undefined;
}

function isColoured(stream: Surroundings["stdout"], env: Environment): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== "0";
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** JSON leaves the control characters above ASCII as they are, and terminals act on them. */
function escaped(json: string): string {
  return json.replace(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}
