// A worker as a process of its own. SIGTERM drains it; a second signal ends it at once.
import "./kill-at.ts";
import { createWorker, type WorkerOptions } from "tasktrail";
import { broker } from "./tasks.ts";

const options = JSON.parse(process.env.CRASH_WORKER ?? "{}") as WorkerOptions;
await using worker = createWorker(broker, { concurrency: 20, lease: "2s", ...options });

let signals = 0;
for (const name of ["SIGTERM", "SIGINT"] as const) {
  process.on(name, () => {
    signals += 1;
    if (signals > 1) process.exit(130);
    void worker.stop();
  });
}
console.log("ready");
await worker.run();
await broker.close();
console.log("drained");
