import { createBroker, createWorker } from "tasktrail";
import { contract } from "tasktrail/contract";
import { z } from "zod";

// contracts.ts: what producer and worker agree on. It imports no handler, and no Redis.
const sendInvoice = contract({
  name: "send_invoice",
  input: z.object({ id: z.string() }),
  output: z.object({ number: z.string() }),
});

const broker = createBroker();

// The web application dispatches by the contract.
const tasks = broker.bind({ sendInvoice });
const run = await tasks.sendInvoice.kiq({ id: "2026-17" });

// The worker gives it its handler.
sendInvoice.implement(broker, { run: ({ id }) => ({ number: `INV-${id}` }) });
await using worker = createWorker(broker);
const working = worker.run();

console.log((await run.result()).number); // INV-2026-17
await worker.stop();
await working;
