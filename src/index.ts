export type { EventType, LedgerEvent, LedgerEvents, RecordedError } from "../streams/events.ts";
export { createBroker } from "./broker.ts";
export type { Broker, BrokerOptions, Durability, LoggerLike } from "./define/broker.ts";
export { type Contract, type ContractDefinition, contract } from "./define/contract.ts";
export { type CronCheck, type CronDefinition, type CronPolicies, type CronTask, cron } from "./define/cron.ts";
export type { Dispatcher, DispatchOptions, InputArgs, TaskRef } from "./define/dispatch.ts";
export { type Duration, duration } from "./define/duration.ts";
export type { LedgerQuery } from "./define/ledger-query.ts";
export type { Policies, RetryPolicy } from "./define/policy.ts";
export { defineProjection, type Frozen, type Projection, type ProjectionDefinition } from "./define/projection.ts";
export type { Health, ProjectorOptions, Role, SchedulerOptions, WorkerOptions } from "./define/role.ts";
export type { ScheduleDefinition, ScheduleState, Schedules } from "./define/schedules.ts";
export {
  type InputOf,
  type OutputOf,
  type Schema,
  type SchemaIssue,
  type SchemaResult,
  unchecked,
} from "./define/schema.ts";
export type { SqlSession } from "./define/session.ts";
export { Abort, Retry } from "./define/steer.ts";
export type { SubscriptionOptions } from "./define/subscription.ts";
export type { Awaitable, HandlerDefinition, Named, Task, TaskDefinition, TaskHost } from "./define/task.ts";
export { type DomainEvent, type EventPublisher, type Subscribable, type Topic, topic } from "./define/topic.ts";
export { getBroker, getRun } from "./di/leaves.ts";
export {
  type Deps,
  type Override,
  override,
  type Provider,
  type ProviderDefinition,
  provider,
  type Scope,
  type Use,
  type Used,
  type Values,
} from "./di/provider.ts";
export { type ErrorCode, TasktrailError } from "./errors.ts";
export { createProjector } from "./projector.ts";
export { createRelay } from "./relay.ts";
export type { RunContext, RunHandle, RunStatus, Slot } from "./run.ts";
export { createScheduler } from "./scheduler.ts";
export { createWorker } from "./worker.ts";
