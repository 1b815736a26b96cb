import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { createBroker, createWorker } from "tasktrail";

// #region broker
const { REDIS_URL = "", REDIS_CA = "" } = process.env;
const ca = readFileSync(REDIS_CA);
const broker = createBroker({ redis: () => new Redis(REDIS_URL, { tls: { ca } }) });
// #endregion

const greet = broker.task({ name: "greet", run: () => "Hello over TLS" });
const run = await greet.kiq();
await using worker = createWorker(broker);
const working = worker.run();
console.log(await run.result());
await worker.stop();
await working;
