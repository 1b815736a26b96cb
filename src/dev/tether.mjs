// Loaded with --import into the project's own programs: ends the process when its parent has gone.
//
// A parent killed with -9 tells nobody, and Node cannot ask the kernel for a signal then; so the parent's id is watched.
import { isMainThread } from "node:worker_threads";

const CHECK_EVERY_MS = 250;
const GRACE_MS = 45_000; // longer than the 30 s that a worker may take to drain

if (isMainThread) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE_MS).unref();
  }, CHECK_EVERY_MS);
  watch.unref();
}
