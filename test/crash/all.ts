import type { Scenario } from "./scenario.ts";
import { poison, strangeThrows } from "./scenarios/handlers.ts";
import { outboxChaos, relaySteps } from "./scenarios/outbox.ts";
import { postgresDown, projectorKilled, projectorsAtOnce } from "./scenarios/projector.ts";
import {
  linksCut,
  memoryFull,
  redisKilled,
  redisStalled,
  repliesLost,
  scriptsFlushed,
  sigtermWhileReading,
  silentLink,
} from "./scenarios/redis.ts";
import { projectorSteps, workerSteps } from "./scenarios/steps.ts";
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
  redisKilled,
  linksCut,
  repliesLost,
  silentLink,
  scriptsFlushed,
  redisStalled,
  memoryFull,
  sigtermWhileReading,
  projectorKilled,
  projectorsAtOnce,
  postgresDown,
  workerSteps,
  projectorSteps,
  relaySteps,
  outboxChaos,
];
