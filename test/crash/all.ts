import type { Scenario } from "./scenario.ts";
import { refusedStarts, rollingDeploy, unknownTask } from "./scenarios/deploys.ts";
import { foreignEntries, misfits } from "./scenarios/foreign.ts";
import { deafHandlers, poison, strangeThrows } from "./scenarios/handlers.ts";
import { blockedLoop, blockedPastDeadline, clocksOff, frozen, ownZombie, unleased } from "./scenarios/leases.ts";
import { linksCut, readsLost, repliesLost, silentLink } from "./scenarios/links.ts";
import { largeBatches, manyWaiting } from "./scenarios/load.ts";
import { emptied, frozenKiq } from "./scenarios/outages.ts";
import { outboxChaos, relaySteps, topicSteps } from "./scenarios/outbox.ts";
import { postgresDeadlocks, postgresDown, postgresFull, postgresSlow } from "./scenarios/postgres.ts";
import { projectorKilled, projectorsAtOnce } from "./scenarios/projector.ts";
import { memoryFull, redisKilled, redisStalled, scriptsFlushed, sigtermWhileReading } from "./scenarios/redis.ts";
import { projectorSteps, workerSteps } from "./scenarios/steps.ts";
import { secondSignal, sigtermInGrace, sigtermPastGrace, workerKilled } from "./scenarios/workers.ts";

/** Every scenario, in the order in which the ladder plays them. */
export const scenarios: readonly Scenario[] = [
  ...[workerKilled, workerSteps, sigtermInGrace, sigtermPastGrace, secondSignal, sigtermWhileReading],
  ...[blockedLoop, blockedPastDeadline, frozen, ownZombie, unleased, clocksOff],
  ...[poison, strangeThrows, deafHandlers, rollingDeploy, unknownTask, refusedStarts],
  ...[redisKilled, redisStalled, frozenKiq, emptied, memoryFull, scriptsFlushed],
  ...[linksCut, silentLink, repliesLost, readsLost],
  ...[manyWaiting, largeBatches, foreignEntries, misfits],
  ...[projectorKilled, projectorSteps, projectorsAtOnce],
  ...[relaySteps, topicSteps, outboxChaos],
  ...[postgresDown, postgresSlow, postgresDeadlocks, postgresFull],
];
