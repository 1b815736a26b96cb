import type { Actor } from "./cast.ts";

/** What processes wrote on standard error. */
export interface Noise {
  /** Lines that are no line of our log: warnings of Node, errors that nobody handled, stacks. */
  readonly strange: readonly string[];
  /** The most lines of one class that one process wrote within five seconds. */
  readonly worst: number;
  /** The message of that class. */
  readonly worstClass: string;
}

/** Lines of one class are to be at least five seconds apart; a tenth of a second is for clocks. */
const WINDOW_MS = 4_900;

interface LogLine {
  readonly level: number;
  readonly time: number;
  readonly msg: string;
  readonly task?: string;
  readonly err?: { readonly type?: string; readonly code?: string; readonly fingerprint?: string };
}

/** Reads the logs of a cast. */
export function noiseOf(actors: readonly Pick<Actor, "errors">[]): Noise {
  const strange: string[] = [];
  let worst = 0;
  let worstClass = "";
  for (const actor of actors) {
    const times = new Map<string, number[]>();
    for (const text of actor.errors()) {
      const line = parse(text);
      if (line === undefined) {
        strange.push(text);
        continue;
      }
      const name = classOf(line);
      const recent = (times.get(name) ?? []).filter((time) => time > line.time - WINDOW_MS);
      recent.push(line.time);
      times.set(name, recent);
      if (recent.length <= worst) continue;
      worst = recent.length;
      worstClass = line.msg;
    }
  }
  return { strange, worst, worstClass };
}

function classOf({ msg, task = "", err = {} }: LogLine): string {
  return [msg, task, err.code ?? err.type ?? "", err.fingerprint ?? ""].join("\n");
}

function parse(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<LogLine>;
    return typeof line.msg === "string" && typeof line.time === "number" ? (line as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
