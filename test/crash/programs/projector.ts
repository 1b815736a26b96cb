// A projector as a process of its own.
import "./kill-at.ts";
import { createProjector } from "tasktrail";
import { broker } from "./tasks.ts";

await using projector = createProjector(broker);
process.on("SIGTERM", () => void projector.stop());
console.log("ready");
await projector.run();
await broker.close();
