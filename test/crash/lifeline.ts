import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

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

/** Ends processes with this one, however it ends. */
export interface Lifeline extends AsyncDisposable {
  /** Ties a process to this one's life. To be called in the turn in which it was spawned. */
  hold(child: ChildProcess): void;
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
    hold(child) {
      if (child.pid === undefined) return;
      stdin.write(`began ${child.pid}\n`);
      child.once("exit", () => void stdin.write(`ended ${child.pid}\n`));
    },
    async [Symbol.asyncDispose]() {
      stdin.end();
      await ended;
    },
  };
}
