import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { DevError } from "./errors.ts";
import type { RunAs } from "./run-as.ts";

/** What to run, and how it likes to be stopped. */
export type ServerProgram = {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The folder it runs in; its own user must be able to enter it. */
  readonly cwd: string;
  /** Takes what it prints, from the beginning of this start. */
  readonly logFile: string;
  /** The signal that asks for an orderly stop. */
  readonly stopSignal: "TERM" | "INT";
  readonly runAs: RunAs;
  /** A folder to remove when this process ends without stopping the server. */
  readonly leftovers?: string;
};

/** A server process that ends no later than this process does, however this process ends. */
export type Supervised = {
  /** The server's own process id. */
  readonly pid: number;
  /** Resolves when the server has ended. */
  readonly ended: Promise<void>;
  /** Whether it still runs. */
  isRunning(): boolean;
  /** Asks it to stop, and kills it after 10 seconds. */
  stop(): Promise<void>;
  /** Kills it with -9, as the kernel would when memory is short. */
  kill(): Promise<void>;
};

const STOP_WITHIN_MS = 10_000;

// The shell holds the reading end of a pipe on fd 3, whose other end is ours alone. When we end, even by kill -9, the
// kernel closes it, `cat` returns, and the server is asked to stop, and killed after 10 seconds. fd 4 tells its id.
const WATCHDOG = `
signal=$1; leftovers=$2; shift 2
orphaned=
"$@" </dev/null 3<&- 4>&- &
server=$!
echo "$server" >&4; exec 4>&-
trap 'kill -s "$signal" "$server" 2>/dev/null' TERM INT HUP
trap 'orphaned=yes; kill -s "$signal" "$server" 2>/dev/null' USR1
{
  trap - TERM INT HUP USR1
  cat <&3 >/dev/null
  kill -s USR1 $$
  tries=0
  while kill -0 "$server" && [ $((tries += 1)) -le 50 ]; do sleep 0.2; done
  kill -s KILL "$server"
} 2>/dev/null &
watchdog=$!
exec 3<&-
while kill -0 "$server" 2>/dev/null; do wait "$server"; code=$?; done
kill "$watchdog" 2>/dev/null
[ -n "$orphaned" ] && [ -n "$leftovers" ] && rm -rf "$leftovers"
exit "\${code:-0}"
`;

/** Starts a server under the watchdog, in a session of its own, so that a terminal's Ctrl-C reaches us alone. */
export async function supervise(program: ServerProgram): Promise<Supervised> {
  const log = openSync(program.logFile, "w", 0o600);
  const { stopSignal, leftovers = "", command, args } = program;
  const child = spawn("/bin/sh", ["-c", WATCHDOG, "sh", stopSignal, leftovers, command, ...args], {
    cwd: program.cwd,
    env: program.env,
    stdio: ["ignore", log, log, "pipe", "pipe"],
    detached: true,
    ...program.runAs.ids,
  });
  closeSync(log);
  const lifeline = letProcessEnd(child);
  const ended = once(child, "exit").then(() => void lifeline.destroy());
  ended.catch(() => {});
  const pid = await serverId(child);

  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (!isRunning()) return;
    child.ref(); // wait for it even when nothing else keeps this process busy
    sendSignal(pid, signal);
    const timer = setTimeout(() => sendSignal(pid, "SIGKILL"), STOP_WITHIN_MS);
    await ended;
    clearTimeout(timer);
  };
  return { pid, ended, isRunning, stop: () => end(`SIG${stopSignal}`), kill: () => end("SIGKILL") };
}

/** The last lines that a server printed, for an error message. */
export function tailOf(logFile: string, lineCount = 12): string {
  try {
    return readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-lineCount).join("\n");
  } catch {
    return "(it printed nothing)";
  }
}

async function serverId(child: ChildProcess): Promise<number> {
  const pipe = child.stdio[4] as Readable;
  let text = "";
  const failed = once(child, "error").then(([error]) => Promise.reject(error));
  failed.catch(() => {});
  await Promise.race([
    failed,
    (async () => {
      for await (const chunk of pipe) text += String(chunk);
    })(),
  ]);
  const pid = Number(text);
  if (!(pid > 0)) throw new DevError("The shell that watches the server did not start it.");
  return pid;
}

/** A forgotten server must not keep this process alive: the watchdog ends it then. */
function letProcessEnd(child: ChildProcess): Socket {
  child.unref();
  const lifeline = child.stdio[3] as Socket;
  lifeline.on("error", () => {});
  lifeline.unref();
  return lifeline;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
