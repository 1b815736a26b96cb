import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";

// The shell reads from a pipe whose other end is ours alone. When we end, even by kill -9, the kernel closes it, and the loop with it.
const WATCHDOG = `
trap '' TERM INT HUP
living=" "
while read -r what pid; do
  case $what in
    began) living="$living$pid " ;;
    ended) living="\${living%% $pid *} \${living#* $pid }" ;;
  esac
done
kill -s KILL $living 2>/dev/null
exit 0
`;

// Each process tells of itself before it becomes what it is to be: told by us, the first moment of its life would be one in which nobody knew of it.
const HELD = `echo "began $$" >&3; exec 3>&-; exec "$0" "$@"`;

/** What to start, and with which variables. */
export interface Held {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Ends processes with this one, however it ends. */
export interface Lifeline extends AsyncDisposable {
  /** Starts a process that is tied to this one's life. What it prints can be read. */
  start(held: Held): ChildProcess;
}

/**
 * Opens a lifeline: a shell that kills with -9 what is held when this process is gone. A process of a scenario could not do so by itself: it may
 * be frozen, or its event loop blocked, or be deaf to signals, by design.
 */
export function openLifeline(): Lifeline {
  // In a session of its own, so that neither Ctrl-C nor a signal to our group ends it before its work.
  const shell = spawn("/bin/sh", ["-c", WATCHDOG], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  const { stdin } = shell;
  stdin.on("error", () => {});
  const ended = once(shell, "exit");
  ended.catch(() => {});
  return {
    start({ command, args, env }) {
      const stdio = ["ignore", "pipe", "pipe", stdin as Writable] as const;
      const child = spawn("/bin/sh", ["-c", HELD, command, ...args], { env, stdio: [...stdio] });
      child.once("exit", () => void stdin.write(`ended ${child.pid}\n`));
      return child;
    },
    async [Symbol.asyncDispose]() {
      stdin.end();
      await ended;
    },
  };
}
