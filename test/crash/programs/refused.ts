// A worker that is not to start: says why it was refused.
import { createWorker } from "tasktrail";
import { declare, openBroker } from "./tasks.ts";

const broker = openBroker();
declare(broker);
try {
  await createWorker(broker).run();
} catch (error) {
  console.log(`refused ${(error as Error).message.replaceAll("\n", " ")}`);
  process.exitCode = (error as { code?: string }).code === "invalid_option" ? 78 : 70;
}
await broker.close();
