import type { Scenario } from "./scenario.ts";
import { poison, strangeThrows } from "./scenarios/handlers.ts";
import {
  blockedLoop,
  frozen,
  secondSignal,
  sigtermInGrace,
  sigtermPastGrace,
  workerKilled,
} from "./scenarios/workers.ts";

/** Every scenario, in the order in which the ladder plays them. */
export const scenarios: readonly Scenario[] = [
  workerKilled,
  sigtermInGrace,
  sigtermPastGrace,
  secondSignal,
  frozen,
  blockedLoop,
  poison,
  strangeThrows,
];
