import type { Bench } from "./bench.ts";
import { coldStart } from "./benches/cold-start.ts";
import { cronBenches } from "./benches/cron.ts";
import { enqueueBenches } from "./benches/enqueue.ts";
import { features } from "./benches/features.ts";
import { latency } from "./benches/latency.ts";
import { memoryBenches } from "./benches/memory.ts";
import { otelBench } from "./benches/otel.ts";
import { outboxBenches } from "./benches/outbox.ts";
import { processes } from "./benches/processes.ts";
import { project } from "./benches/project.ts";
import { passed, sustained } from "./benches/projected.ts";
import { replayed } from "./benches/replayed.ts";
import { workBenches } from "./benches/work.ts";

/** Every bench, in the order of the table. A new one is an object of type `Bench` in a file of its own, and a line here. */
export const benches: readonly Bench[] = [
  ...enqueueBenches,
  ...workBenches,
  processes,
  latency,
  ...memoryBenches,
  sustained,
  features,
  ...outboxBenches,
  project,
  replayed,
  coldStart,
  passed,
  otelBench,
  ...cronBenches,
];
