import { parseEvent } from "../../streams/event-schemas.ts";
import { EVENT_VERSION, type EventType, type LedgerEvent } from "../../streams/events.ts";

/** What tells one example event from another. */
export interface Example {
  readonly run?: string;
  readonly queue?: string;
  readonly at?: number;
  readonly position?: string;
  readonly attempt?: number;
}

/** Two run ids: of a dispatched run, and of a cron's. */
export const RUN = "01890000-0000-7abc-8000-000000000001";
export const CRON_RUN = "5f1d36a1-0000-5abc-8000-000000000002";
export const AT = 1_700_000_000_000;

const error = {
  type: "RangeError",
  message: "out of range",
  stack: "RangeError: out of range\n    at here",
  code: "E_RANGE",
  fingerprint: "f00",
};

const FIELDS: { readonly [K in EventType]: object } = {
  "run.enqueued": {
    input: { userId: "abc123" },
    taskVersion: 2,
    key: "welcome:abc123",
    labels: { tenant: "acme" },
    expiresAt: AT + 60_000,
    parent: "p",
    root: "r",
    redriveOf: "o",
  },
  "run.due": {},
  "run.started": { delivery: 1, waitedMs: 3.5 },
  "run.failed": { delivery: 1, error, durationMs: 7.25, retryAt: AT + 5_000 },
  "run.released": { delivery: 1, from: "worker-1" },
  "run.redelivered": { delivery: 2, from: "worker-1", to: "worker-2" },
  "run.deferred": { reason: "unknown_task", retryAt: AT + 9_000 },
  "run.recovered": { delivery: 2, to: "worker-2" },
  "run.restored": { reason: "lost tail" },
  "run.succeeded": { delivery: 1, durationMs: 12.5, result: { ok: true } },
  "run.died": { reason: "attempts", delivery: 1, error, durationMs: 8 },
  "run.cancelled": { reason: "asked for", durationMs: 4 },
  "run.skipped": { reason: "held", holder: "5f1d36a1-0000-5abc-8000-00000000000f" },
  "run.lost": { entry: "1-0" },
  "run.progressed": { delivery: 1, done: 3, total: 10 },
  "run.cancel_requested": { reason: "asked for" },
  "run.fenced": { delivery: 1, refused: "run.succeeded" },
  "run.joined": { existing: "01890000-0000-7abc-8000-000000000008" },
  "run.redriven": { as: "01890000-0000-7abc-8000-000000000009" },
  "run.withdrawn": { ending: "run.succeeded", reason: "history_diverged" },
  "run.overran": { delivery: 1, reason: "lock" },
  "slot.fired": {
    trigger: "schedule",
    lateMs: 12,
    timezone: "Europe/Berlin",
    scheduledLocal: "2023-11-14T23:13:20+01:00",
  },
  "slot.skipped": { reason: "held", holder: "x" },
  "slot.missed": { until: AT + 180_000, missedCount: 4, isAtLeast: true, reason: "nobody was there" },
  "schedule.upserted": { expression: "* * * * *", timezone: "UTC", source: "code" },
  "schedule.paused": {},
  "schedule.resumed": {},
  "schedule.removed": {},
  "lane.paused": {},
  "lane.resumed": {},
  "outbox.relayed": { batch: 1, runCount: 2 },
  "event.refused": { topic: "t", group: "g", event: "e", entry: "1-0", reason: "it did not fit" },
  "lane.regressed": { expected: "1-0" },
  "lane.repaired": { restoredCount: 2, withdrawnCount: 1, lostCount: 0 },
  "worker.started": { host: "h", pid: 1, concurrency: 10 },
  "worker.stopped": {},
  "worker.lost": { by: "worker-2" },
  "ledger.gap": { before: "2-0", entryCount: 3 },
};

const OF_SLOT = /^slot\./;
const OF_SCHEDULE = /^(slot|schedule)\./;

/** Every event type that there is. */
export const EVENT_TYPES = Object.keys(FIELDS) as EventType[];

/** An event of a type with every field that it may have, checked against its schema. `extra` comes on top. */
export function anEvent<Type extends EventType>(
  type: Type,
  example: Example = {},
  extra: object = {},
): LedgerEvent<Type> {
  const { run = RUN, queue = "default", at = AT, position = "default/life1/1700000000000-0/0", attempt = 1 } = example;
  const event = {
    type,
    v: EVENT_VERSION,
    at,
    queue,
    worker: "worker-1",
    task: "send_welcome_email",
    traceparent: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
    position,
    traceId: "0123456789abcdef0123456789abcdef",
    attempt,
    ...(OF_SCHEDULE.test(type) ? { schedule: "sync_external_data" } : {}),
    ...(OF_SLOT.test(type) ? { slot: AT } : {}),
    ...(type === "slot.missed" || type.startsWith("run.") || type.startsWith("slot.") ? { run } : {}),
    ...FIELDS[type],
    ...extra,
  };
  return parseEvent(event) as LedgerEvent<Type>;
}

/** Events of one run, one after the other: each in an entry of its own, a second apart. */
export function aHistory(run: string, ...steps: readonly (EventType | readonly [EventType, object])[]): LedgerEvent[] {
  return steps.map((step, index) => {
    const [type, extra] = typeof step === "string" ? [step, {}] : step;
    const at = AT + index * 1_000;
    return anEvent(type, { run, at, position: `default/life1/${at}-0/0` }, extra);
  });
}
