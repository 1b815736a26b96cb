import { bytesOf, CALL_BYTES } from "../../streams/enqueue.ts";
import type { CallLimits, Lane } from "../../streams/lane.ts";
import { FIRED_AT_ONCE, type Fired, type Firing, fire } from "../../streams/schedules.ts";

/** Slots on their way into one lane: those of one turn of the event loop share calls. */
export interface Volley {
  /** Resolves with what came of it. Rejects with CallFailed. */
  add(firing: Firing): Promise<Fired>;
}

interface Waiting {
  readonly firing: Firing;
  readonly resolve: (fired: Fired) => void;
  readonly reject: (error: unknown) => void;
}

/** Gathers slots into calls. A call that is full goes out at once: Redis works on it while the next is put together. */
export function createVolley(lane: Lane, limits: () => CallLimits): Volley {
  let pending: Waiting[] = [];
  let bytes = 0;
  const flush = () => {
    const batch = pending;
    pending = [];
    bytes = 0;
    if (batch.length > 0) void send(batch);
  };
  const send = async (batch: readonly Waiting[]) => {
    const firings = batch.map(({ firing }) => firing);
    try {
      const all = await fire(lane, firings, limits());
      for (const [index, { resolve }] of batch.entries()) resolve(all[index] as Fired);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };
  return {
    add: (firing) =>
      new Promise((resolve, reject) => {
        const size = bytesOf(firing.run ?? { body: "", meta: "" });
        if (bytes + size > CALL_BYTES) flush();
        if (pending.length === 0) queueMicrotask(flush);
        pending.push({ firing, resolve, reject });
        bytes += size;
        if (pending.length >= FIRED_AT_ONCE) flush();
      }),
  };
}
