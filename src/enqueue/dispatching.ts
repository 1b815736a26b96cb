import type { Lane } from "../../streams/lane.ts";
import { DEFAULTS } from "../defaults.ts";
import type { DispatchPort } from "../define/task.ts";
import type { Engine } from "../engine.ts";
import { createConnection } from "./connection.ts";
import { makeHandle } from "./handle.ts";
import { createLanes } from "./lanes.ts";
import { send } from "./send.ts";

/** What a broker dispatches with. */
export interface Dispatching {
  readonly port: DispatchPort;
  /** The lane of a queue, on the connection that all dispatches share. */
  lane(queue: string): Promise<Lane>;
  /** Waits for what is on its way, and closes what was opened. */
  close(): Promise<void>;
}

/** Makes a broker's way to Redis. Nothing is opened before its first use. */
export function createDispatching(engine: Engine, enqueueTimeoutMs: () => number): Dispatching {
  const connection = createConnection({ open: () => engine.connect("dispatch"), idleMs: DEFAULTS.idleConnectionMs });
  const lanes = createLanes({
    connection,
    namespace: () => engine.namespace,
    incarnation: engine.incarnation,
    enqueueTimeoutMs,
    onEnqueue: () => {},
  });
  const sending = {
    lanes,
    maxPayloadBytes: () => engine.maxPayloadBytes,
    enqueueTimeoutMs,
    middleware: () => engine.middleware,
    announce: engine.announce,
  };
  return {
    port: {
      async send(task, inputs, options, keyOf) {
        const sent = await send(sending, { task, inputs, options, keyOf });
        return sent.map((one) => makeHandle(one));
      },
      handle: (_task, id) => makeHandle({ run: id, isNew: false }),
      trigger: () => Promise.reject(new Error("not built yet")),
      call: () => Promise.reject(new Error("not built yet")),
    },
    lane: lanes.lane,
    async close() {
      connection.close();
    },
  };
}
