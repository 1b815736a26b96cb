import { eventOf } from "../../streams/enqueue-record.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Lane } from "../../streams/lane.ts";
import { durabilityOf } from "../config.ts";
import { DEFAULTS } from "../defaults.ts";
import type { EnginePort } from "../define/schedules.ts";
import type { Engine } from "../engine.ts";
import { callInline } from "../execute/call.ts";
import { readEvents } from "../read-events.ts";
import type { RunHandle } from "../run.ts";
import { createScheduleManager } from "../schedule/manage.ts";
import { type Ask, askBy } from "./ask.ts";
import { createEndingWatch } from "./await-ending.ts";
import { type Connection, createConnection } from "./connection.ts";
import { createFollower } from "./follow.ts";
import { createHandles, type Handles } from "./handle.ts";
import { createLanes, type Lanes } from "./lanes.ts";
import { createBellRinger } from "./ring-bell.ts";
import { send } from "./send.ts";
import { createSessionSender } from "./send-in-session.ts";
import { type SendOneParts, sendOne } from "./send-one.ts";
import { trigger } from "./trigger.ts";

/** What a broker dispatches with. */
export interface Dispatching {
  readonly port: EnginePort;
  /** The lane of a queue, on the connection that all dispatches share. */
  lane(queue: string): Promise<Lane>;
  /** Tells relays that a transaction has committed. Best effort. */
  ringBell(): void;
  /** Waits for what is on its way, and closes what was opened. */
  close(): Promise<void>;
}

/** Makes a broker's way to Redis. Nothing is opened before its first use. */
export function createDispatching(engine: Engine, enqueueTimeoutMs: () => number): Dispatching {
  const idleMs = DEFAULTS.idleConnectionMs;
  const connection = createConnection({ open: () => engine.connect("dispatch"), idleMs });
  const following = createConnection({ open: () => engine.connect("follow"), idleMs });
  const ask: Ask = (question) => askBy(connection, performance.now() + enqueueTimeoutMs(), question);
  const lanes = createLanes({
    connection,
    namespace: () => engine.namespace,
    incarnation: engine.incarnation,
    enqueueTimeoutMs,
    durability: durabilityOf(engine.options),
    onTaken(queue, records, { existing }) {
      // Our own observer does not care for single events, and as a rule nobody else listens.
      if (engine.middleware.length === 1) return;
      const taken = existing.size === 0 ? records : records.filter((_, index) => !existing.has(index));
      const events: EventDraft[] = [];
      for (const record of taken) {
        if (record.head === undefined && record.before !== undefined) events.push(record.before);
        events.push(eventOf(record));
      }
      if (events.length > 0) engine.announce({ kind: "events.recorded", queue, events });
    },
  });
  const follower = createFollower({
    connection: following,
    announce: engine.announce,
    unblock: (clientId) => ask((redis) => redis.client("UNBLOCK", clientId)),
    lastId: (keys) => ask(async (redis) => (await redis.xrevrange(keys.events, "+", "-", "COUNT", 1))[0]?.[0] ?? "0-0"),
  });
  const handles = createHandles({
    ask,
    namespace: () => engine.namespace,
    queues: engine.queues,
    watch: createEndingWatch(ask, follower, lanes.nowMs),
    lane: lanes.lane,
    answerWithinMs: enqueueTimeoutMs,
    defaults: engine.options.defaults ?? {},
  });
  const ringBell = createBellRinger(ask, () => engine.namespace);
  return {
    port: createPort(engine, { connection, lanes, handles, ask, enqueueTimeoutMs, ringBell }),
    lane: lanes.lane,
    ringBell,
    async close() {
      follower.close();
      await connection.settled();
      connection.close();
    },
  };
}

interface PortParts {
  readonly connection: Connection;
  readonly lanes: Lanes;
  readonly handles: Handles;
  readonly ask: Ask;
  readonly enqueueTimeoutMs: () => number;
  readonly ringBell: () => void;
}

function createPort(engine: Engine, parts: PortParts): EnginePort {
  const { connection, lanes, handles, ask, enqueueTimeoutMs, ringBell } = parts;
  const sending: SendOneParts = {
    lanes,
    connection,
    maxPayloadBytes: () => engine.maxPayloadBytes,
    enqueueTimeoutMs,
    middleware: () => engine.middleware,
    announce: engine.announce,
  };
  const sendInSession = createSessionSender({
    namespace: () => engine.namespace,
    nowMs: lanes.nowMs,
    maxPayloadBytes: () => engine.maxPayloadBytes,
    middleware: () => engine.middleware,
    announce: engine.announce,
    onCommit: ringBell,
  });
  const { incarnation, queues } = engine;
  const namespace = () => engine.namespace;
  const elapsed = () => engine.clock.elapsed();
  const sendMany: EnginePort["send"] = (task, inputs, options, keyOf) => {
    connection.hold(); // from beginning to end: whoever closes the broker waits for all of it
    const request = { task, inputs, options, keyOf };
    const failed = (error: unknown) => {
      connection.release();
      throw error;
    };
    if (options.session === undefined)
      return send(sending, request).then((sent) => {
        connection.release();
        return sent.map((one) => handles.ofSent(task, one));
      }, failed);
    return sendInSession(request).then((written) => {
      connection.release();
      return written.map((one) => handles.ofWritten(task, one));
    }, failed);
  };
  return {
    schedules: createScheduleManager({ ...sending, connection, ask, handles, namespace, queues, incarnation, elapsed }),
    send: sendMany,
    sendOne(task, input, options) {
      if (options.session !== undefined)
        return sendMany(task, [input], options).then(([handle]) => handle as RunHandle<unknown>);
      return sendOne(sending, { task, input, options }, (sent) => handles.ofSent(task, sent));
    },
    handle: handles.ofId,
    events: (query) => readEvents(engine, query),
    async trigger(task) {
      connection.hold();
      try {
        return handles.ofSent(task, await trigger(sending, task));
      } finally {
        connection.release();
      }
    },
    call: (record, input, slot, overrides) => callInline(engine, { record, input, slot, overrides }),
  };
}
