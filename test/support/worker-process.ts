import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { WorkerOptions } from "../../src/define/role.ts";

/** What a worker process tells: that it is ready, or what a run of it does. */
export interface Told {
  readonly what: "ready" | "started" | "done";
  readonly run?: string;
}

/** A worker in a process of its own. */
export interface WorkerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly told: readonly Told[];
  /** Waits until it has told this. */
  tells(what: Told["what"], run?: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** What it wrote to stderr. */
  stderr(): string;
}

/** Starts `test/src/worker/fixtures/worker-process.ts`, and returns once it is ready. */
export async function startWorkerProcess(
  place: { readonly url: string; readonly namespace: string },
  options: WorkerOptions = {},
): Promise<WorkerProcess> {
  const child = fork(new URL("../src/worker/fixtures/worker-process.ts", import.meta.url), {
    execArgv: [],
    env: {
      ...process.env,
      NODE_OPTIONS: "",
      LOG_LEVEL: "warn",
      TEST_WORK: JSON.stringify({ url: place.url, namespace: place.namespace, options: { lease: "1s", ...options } }),
    },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const told: Told[] = [];
  const news = new EventEmitter();
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.on("message", (message: Told) => {
    told.push(message);
    news.emit("told");
  });
  const ended = endOf(child);
  const tells = async (what: Told["what"], run?: string) => {
    const isTold = () => told.some((one) => one.what === what && (run === undefined || one.run === run));
    while (!isTold()) {
      const code = await Promise.race([once(news, "told", { signal: AbortSignal.timeout(20_000) }), ended]);
      if (!Array.isArray(code) && !isTold())
        throw new Error(`the worker ended (${code}) and never told ${what}\n${stderr}`);
    }
  };
  const process_: WorkerProcess = {
    pid: child.pid as number,
    told,
    tells,
    kill: (signal) => child.kill(signal),
    ended,
    stderr: () => stderr,
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await ended;
    },
  };
  await tells("ready");
  return process_;
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return signal ?? code ?? -1;
}
