import { createBroker, createWorker } from "tasktrail";
import { z } from "zod";

const broker = createBroker(); // REDIS_URL; opens nothing yet

const greet = broker.task({
  name: "greet",
  input: z.object({ name: z.string() }),
  retry: { attempts: 5 },
  run({ name }) {
    return `Hello, ${name}`;
  },
});

// In the web application:
const run = await greet.kiq({ name: "Ada" });

// In the worker:
await using worker = createWorker(broker);
const working = worker.run();

console.log(await run.result()); // Hello, Ada
await worker.stop();
await working;
