/** Every default, each once. A length of time ends in `Ms`, a size in `Bytes`. */
export const DEFAULTS = Object.freeze({
  namespace: "tasktrail",
  queue: "default",
  version: 1,
  logLevel: "info",
  enqueueTimeoutMs: 5_000,
  durability: "async",
  maxPayloadBytes: 262_144,
  /** A dispatch connection that nobody uses is closed after it. */
  idleConnectionMs: 60_000,

  timeoutMs: 3_600_000,
  resultTtlMs: 86_400_000,
  attempts: 3,
  /** A cron's next slot is its retry. */
  cronAttempts: 1,
  backoff: "exponential",
  retryDelayMs: 1_000,
  maxRetryDelayMs: 3_600_000,
  jitter: 0.2,

  keyTtlMs: 86_400_000,
  /** How long `result()` waits. */
  resultTimeoutMs: 30_000,

  lockTtlMs: 300_000,
  timezone: "UTC",
  overlap: "skip",
  misfire: "fire_once",
  catchUpMs: 3_600_000,

  concurrency: 10,
  leaseMs: 30_000,
  shutdownGraceMs: 30_000,
  maxDeliveries: 5,
  unknownTaskGraceMs: 900_000,
  maxBlockMs: 300_000,

  /** Ledger entries per transaction of the projector. */
  projectorBatch: 500,
  onRegression: "continue",
  keepTailMs: 86_400_000,
  keepTailBytes: 268_435_456,
  maxTail: 0,
  whenFull: "refuse",
} as const);

/** What names of namespaces, queues, tasks and topics look like, for messages. */
export const KEY_PART_RULE = '1 to 100 characters, none of them white space, ":", "{" or "}"';
