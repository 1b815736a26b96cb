import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Bench, Figures, Part, Setting, StepInProcess } from "./bench.ts";

/** A step that takes longer than this hangs, on any machine. */
const LONGEST_MS = 1_200_000;
/** Node's own type stripping, whatever runs us: what tsx makes of TypeScript is slower. */
const FLAGS = ["--conditions=tasktrail-source", "--import", new URL("../../src/dev/tether.mjs", import.meta.url).href];
const PROGRAM = fileURLToPath(new URL("./step.ts", import.meta.url));

/**
 * Starts a step of a bench in a process of its own, so that neither what another step has left in memory nor what it has
 * taught the compiler is part of the measurement. Its promises reject when the process ends without having found something.
 */
export function runStep(bench: Bench, setting: Setting, step: string, part: Part = {}): StepInProcess {
  const child = fork(PROGRAM, [JSON.stringify({ bench: bench.name, step, setting, part })], { execArgv: FLAGS });
  const ready = Promise.withResolvers<void>();
  const figures = Promise.withResolvers<Figures>();
  for (const { promise } of [ready, figures]) promise.catch(() => {});
  child.on("message", (message) => {
    if (message === "ready") ready.resolve();
    else figures.resolve(message as Figures);
  });
  const overlong = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
  const ended = once(child, "exit").then(([code, signal]) => {
    clearTimeout(overlong);
    const gone = new Error(`${bench.name}: step ${step} of ${setting.contender} ended with ${code ?? signal}`);
    ready.reject(gone);
    figures.reject(gone);
  });
  return {
    ready: ready.promise,
    figures: figures.promise.then(async (found) => {
      await ended;
      return found;
    }),
    stop() {
      if (child.connected) child.send("stop");
      return this.figures;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
