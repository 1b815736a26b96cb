// A relay as a process of its own.
import "./kill-at.ts";
import { createRelay, topic } from "tasktrail";
import { z } from "zod";
import { declare, openBroker } from "./tasks.ts";

const broker = openBroker();
const happened = topic("happened", z.object({ n: z.int() }));
broker.on(happened, declare(broker).work, { from: "start" });
await using relay = createRelay(broker);
process.on("SIGTERM", () => void relay.stop());
console.log("ready");
await relay.run();
await broker.close();
