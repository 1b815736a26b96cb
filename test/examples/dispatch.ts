import { Abort, createBroker, createWorker, Retry } from "tasktrail";
import { z } from "zod";

const broker = createBroker();

const charge = broker.task({
  name: "charge",
  input: z.object({ order: z.string(), cents: z.int() }),
  retry: { attempts: 3, delay: "100ms", backoff: "fixed" },
  timeout: "30s",
  run({ order, cents }, _deps, run) {
    if (cents <= 0) throw new Abort("nothing to charge"); // not tried again
    if (run.attempt === 1) throw new Retry({ in: "200ms", message: "the bank asks to wait" });
    return { receipt: `${order}, attempt ${run.attempt}` };
  },
});

// The same key gives the same run, as long as it runs and for a day after its dispatch.
const first = await charge.with({ key: "order:1", labels: { tenant: "a" } }).kiq({ order: "1", cents: 995 });
const again = await charge.with({ key: "order:1" }).kiq({ order: "1", cents: 995 });
console.log(again.isNew, again.id === first.id); // false true

const later = await charge.with({ delay: "10m" }).kiq({ order: "2", cents: 100 });
console.log(await later.status(), await later.cancel("changed my mind"), await later.status()); // scheduled true cancelled

await using worker = createWorker(broker);
const working = worker.run();
console.log((await first.result()).receipt); // 1, attempt 2
console.log((await first.events()).map((event) => event.type).join(" "));
// run.enqueued run.started run.failed run.due run.started run.succeeded

await worker.stop();
await working;
