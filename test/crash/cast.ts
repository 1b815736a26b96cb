import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openLifeline } from "./lifeline.ts";

/** What a process of a scenario runs. */
export type Program = "worker" | "producer" | "projector" | "relay" | "application" | "refused" | "misfits";

/** A process of a scenario. */
export interface Actor {
  readonly program: Program;
  readonly pid: number;
  /** Resolves when it has printed a line that begins so; rejects when it ends first. */
  says(word: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Kills it with -9, and resolves when it is gone. */
  kill(): Promise<void>;
  /** Its exit code, or -1 when a signal ended it. */
  readonly ended: Promise<number>;
  readonly isAlive: () => boolean;
  readonly errors: () => readonly string[];
}

/** The processes of a scenario: those that are left are killed when it ends, or when the ladder is. */
export interface Cast extends AsyncDisposable {
  start(program: Program, env: Readonly<Record<string, string>>): Actor;
  /** When each pid was killed, in ms since 1970. */
  readonly deaths: ReadonlyMap<number, number>;
  readonly all: readonly Actor[];
}

/** Processes are started by the hundred: what the first of them has compiled, the others need not compile again. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/crash");

/** Gathers a cast whose processes all see these variables. */
export function gather(env: Readonly<Record<string, string>>): Cast {
  const all: Actor[] = [];
  const deaths = new Map<number, number>();
  const lifeline = openLifeline();
  return {
    all,
    deaths,
    start(program, more) {
      const file = join(import.meta.dirname, "programs", `${program}.ts`);
      const child = lifeline.start({
        command: process.execPath,
        args: ["--conditions=tasktrail-source", file],
        env: { ...process.env, NODE_OPTIONS: "", NODE_COMPILE_CACHE, LOG_LEVEL: "warn", ...env, ...more },
      });
      const actor = act(child, program, deaths);
      all.push(actor);
      return actor;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((actor) => actor.kill()));
      await lifeline[Symbol.asyncDispose]();
    },
  };
}

function act(child: ChildProcess, program: Program, deaths: Map<number, number>): Actor {
  const lines: string[] = [];
  const errors: string[] = [];
  const waiting = new Set<() => void>();
  const ended = once(child, "close").then(([code]) => (code as number | null) ?? -1);
  const stir = () => {
    for (const look of [...waiting]) look();
  };
  const hear = (line: string) => {
    lines.push(line);
    stir();
  };
  if (child.stdout !== null) createInterface(child.stdout).on("line", hear);
  if (child.stderr !== null) createInterface(child.stderr).on("line", (line) => void errors.push(line));
  let isOver = false;
  void ended.then(() => {
    isOver = true;
    stir();
  });
  const isAlive = () => child.exitCode === null && child.signalCode === null;
  return {
    program,
    pid: child.pid as number,
    ended,
    isAlive,
    errors: () => errors,
    signal: (name) => void child.kill(name),
    says: (word) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find((line) => line.startsWith(word));
          if (found === undefined && !isOver) return;
          waiting.delete(look);
          if (found === undefined)
            reject(new Error(`process ${child.pid} ended before it said "${word}":\n${errors.slice(-20).join("\n")}`));
          else resolve(found);
        };
        waiting.add(look);
        look();
      }),
    async kill() {
      if (!isAlive()) return;
      deaths.set(child.pid as number, Date.now());
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
