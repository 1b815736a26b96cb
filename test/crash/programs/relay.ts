// A relay as a process of its own.
import "./kill-at.ts";
import { createRelay } from "tasktrail";
import { openBroker } from "./tasks.ts";

const broker = openBroker();
await using relay = createRelay(broker);
process.on("SIGTERM", () => void relay.stop());
console.log("ready");
await relay.run();
await broker.close();
