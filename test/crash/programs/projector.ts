// A projector as a process of its own.
import "./kill-at.ts";
import { createProjector } from "tasktrail";
import { openBroker } from "./tasks.ts";

const broker = openBroker();
await using projector = createProjector(broker);
process.on("SIGTERM", () => void projector.stop());
console.log("ready");
await projector.run();
await broker.close();
