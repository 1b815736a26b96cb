import { createBroker } from "tasktrail";
import { attempts } from "./attempts.ts";
import { failures } from "./failures.ts";
import { throughput } from "./throughput.ts";

export const broker = createBroker();

broker.project(attempts);
broker.project(failures);
broker.project(throughput);
