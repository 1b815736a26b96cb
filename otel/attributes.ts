/**
 * Every span, metric and attribute name, once. Those that begin with `messaging` are OpenTelemetry's conventions for messaging
 * (v1.44, in development): copied, since its package asks not to import them at run time. Redis has no value for
 * `messaging.system` in the conventions; a custom one may be used.
 */
export const NAMES = {
  system: "messaging.system",
  operationName: "messaging.operation.name",
  operationType: "messaging.operation.type",
  destination: "messaging.destination.name",
  group: "messaging.consumer.group.name",
  messageId: "messaging.message.id",
  batchCount: "messaging.batch.message_count",
  clientId: "messaging.client.id",
  errorType: "error.type",
  run: "tasktrail.run.id",
  task: "tasktrail.task.name",
  attempt: "tasktrail.attempt",
  maxAttempts: "tasktrail.max_attempts",
  delivery: "tasktrail.delivery",
  worker: "tasktrail.worker",
  outcome: "tasktrail.outcome",
  reason: "tasktrail.reason",
  schedule: "tasktrail.schedule",
  slot: "tasktrail.slot",
  trigger: "tasktrail.trigger",
  redriveOf: "tasktrail.redrive_of",
  parent: "tasktrail.parent",
  waitMs: "tasktrail.wait_ms",
  input: "tasktrail.input",
  events: "tasktrail.events",
  rows: "tasktrail.rows",
  link: "tasktrail.link",
  rebuilt: "tasktrail.rebuilt",
  how: "tasktrail.how",
  mode: "tasktrail.mode",
} as const;

/** Every metric's name, once. Times are in seconds. */
export const METRICS = {
  sent: "messaging.client.sent.messages",
  consumed: "messaging.client.consumed.messages",
  operation: "messaging.client.operation.duration",
  process: "messaging.process.duration",
  wait: "tasktrail.queue.wait.duration",
  ended: "tasktrail.runs.ended",
  retries: "tasktrail.retries",
  redelivered: "tasktrail.redelivered",
  leasesLost: "tasktrail.leases.lost",
  refused: "tasktrail.outcomes.refused",
  lateness: "tasktrail.cron.lateness",
  missed: "tasktrail.cron.missed",
  projected: "tasktrail.projection.events",
  projection: "tasktrail.projection.duration",
  lag: "tasktrail.projection.lag",
  backlog: "tasktrail.queue.backlog",
  pending: "tasktrail.queue.pending",
  scheduled: "tasktrail.queue.scheduled",
  dead: "tasktrail.queue.dead",
  oldest: "tasktrail.queue.oldest_wait",
  workers: "tasktrail.queue.workers",
  leaseLeft: "tasktrail.lease.left",
  loopDelay: "nodejs.eventloop.delay",
} as const;

/** The value of `messaging.system`. */
export const SYSTEM = "tasktrail";
/** The consumer group that works a queue. */
export const GROUP = "workers";
/** The name under which spans and metrics are made. */
export const SCOPE = "tasktrail";

/** Span names: the operation and its destination, so that there are few different ones. */
export const spanName = {
  enqueue: (queue: string) => `enqueue ${queue}`,
  process: (queue: string) => `process ${queue}`,
  fire: (schedule: string) => `cron fire ${schedule}`,
  project: (queue: string) => `project ${queue}`,
  replay: (projection: string) => `replay ${projection}`,
} as const;
