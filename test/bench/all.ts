import type { Bench } from "./bench.ts";
import { enqueueBenches } from "./benches/enqueue.ts";
import { workBenches } from "./benches/work.ts";

/** Every bench, in the order of the table. A new one is an object of type `Bench` in a file of its own, and a line here. */
export const benches: readonly Bench[] = [...enqueueBenches, ...workBenches];
