// An application in a process of its own, to be killed at a step (CRASH_KILL_AT): `steps-process.ts DEED REDIS_URL NAMESPACE [FROM UNTIL | LOCKS]`.
import "../../crash/programs/kill-at.ts";
import { setTimeout as delay } from "node:timers/promises";
import { createBroker } from "../../../src/broker.ts";
import { cron } from "../../../src/define/cron.ts";
import { createScheduler } from "../../../src/scheduler.ts";
import { createWorker } from "../../../src/worker.ts";

const [deed, redis, namespace, from = "", until = ""] = process.argv.slice(2);
const broker = createBroker({ redis, namespace });
const queue = deed === "move" || deed === "declare" ? "elsewhere" : "default";
const task = broker.task({ name: "sync", queue, run: () => delay(20) }); // so that its start and its ending go out in calls of their own

if (deed === "declare") cron(broker, "* * * * *", { name: "s", queue, misfire: "fire_all", run() {} });
if (deed === "backfill") await broker.schedules.backfill("s", { from: new Date(from), until: new Date(until) });
if (deed === "move") await broker.schedules.upsert("s", { task, cron: "* * * * *", misfire: "fire_all" });
if (deed === "schedule" || deed === "declare") await createScheduler(broker).run();
if (deed === "work") await createWorker(broker, { lease: "1s", ...(from === "" ? {} : { locks: [from] }) }).run();
await broker.close();
