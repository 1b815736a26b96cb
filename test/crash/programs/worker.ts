// A worker as a process of its own. SIGTERM drains it; a second signal ends it at once.
import "./skew.ts";
import "./kill-at.ts";
import { createWorker, type WorkerOptions } from "tasktrail";
import { declare, openBroker } from "./tasks.ts";

const options = JSON.parse(process.env.CRASH_WORKER ?? "{}") as WorkerOptions;
const broker = openBroker();
declare(broker);
await using worker = createWorker(broker, {
  concurrency: 20,
  lease: (process.env.CRASH_LEASE ?? "2s") as "2s",
  ...options,
});

let signals = 0;
for (const name of ["SIGTERM", "SIGINT"] as const) {
  process.on(name, () => {
    signals += 1;
    if (signals > 1) process.exit(130);
    void worker.stop();
  });
}
const ready = setInterval(() => {
  if (!worker.health().isReady) return;
  clearInterval(ready);
  console.log("ready");
}, 5);
await worker.run();
clearInterval(ready);
await broker.close();
console.log("drained");
