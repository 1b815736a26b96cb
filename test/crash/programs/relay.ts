// A relay as a process of its own.
import "./kill-at.ts";
import { createRelay } from "tasktrail";
import { broker } from "./tasks.ts";

await using relay = createRelay(broker);
process.on("SIGTERM", () => void relay.stop());
console.log("ready");
await relay.run();
await broker.close();
