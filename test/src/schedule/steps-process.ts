// An application in a process of its own, to be killed at a step (CRASH_KILL_AT): `steps-process.ts DEED REDIS_URL NAMESPACE [FROM UNTIL]`.
import "../../crash/programs/kill-at.ts";
import { createBroker } from "../../../src/broker.ts";
import { createScheduler } from "../../../src/scheduler.ts";
import { createWorker } from "../../../src/worker.ts";

const [deed, redis, namespace, from = "", until = ""] = process.argv.slice(2);
const broker = createBroker({ redis, namespace });
const queue = deed === "move" ? "elsewhere" : "default";
const task = broker.task({ name: "sync", queue, run() {} });

if (deed === "backfill") await broker.schedules.backfill("s", { from: new Date(from), until: new Date(until) });
if (deed === "move") await broker.schedules.upsert("s", { task, cron: "* * * * *", misfire: "fire_all" });
if (deed === "schedule") await createScheduler(broker).run();
if (deed === "work") await createWorker(broker, { lease: "1s" }).run();
await broker.close();
