import { setMaxListeners } from "node:events";
import type { Delivery } from "../../streams/entry.ts";
import { aborted } from "../aborted.ts";
import type { Engine } from "../engine.ts";
import { bound } from "./bound.ts";
import { consume } from "./consume.ts";
import { promote } from "./promote.ts";
import { type Reader, wakeReader } from "./reader.ts";
import { reclaim } from "./reclaim.ts";
import type { Shift } from "./shift.ts";

/** What the loops work with. */
export interface LoopParts {
  readonly engine: Engine;
  readonly leaseMs: number;
  readonly keepLedgerBytes: number;
  readonly shift: Shift;
  /** Called when Redis has answered. */
  readonly onAnswer: () => void;
}

/** Runs all loops of all lanes until the signal is aborted; returns when they have. One that fails stops the others, and is thrown. */
export async function runLoops(parts: LoopParts, signal: AbortSignal): Promise<void> {
  const { engine, leaseMs, keepLedgerBytes, shift, onAnswer } = parts;
  const { workLanes, connections, execution, taking } = shift;
  const { announce, clock } = engine;
  const { capacity, cancelWaiting } = execution;
  const failing = new AbortController();
  const until = AbortSignal.any([signal, failing.signal]);
  setMaxListeners(0, until);
  until.addEventListener("abort", execution.stopStarting, { once: true });
  const random = Math.random;
  const isOneOfMany = workLanes.length > 1;
  const loops = workLanes.flatMap((workLane, index) => {
    const reader = connections.readers[index] as Reader;
    const accept = (deliveries: readonly Delivery[]) => execution.accept(workLane, deliveries);
    return [
      consume({ workLane, reader, isOneOfMany, capacity, taking, accept, announce, onRead: onAnswer }, until),
      promote({ workLane, random, cancelWaiting, announce }, until),
      bound({ workLane, keepLedgerBytes, random, announce }, until),
      reclaim({ workLane, taking, leaseMs, random, elapsed: clock.elapsed, announce }, until),
      aborted(until).then(() => wakeReader(workLane, reader, connections.command)),
    ];
  });
  const stopAll = (error: unknown) => {
    failing.abort();
    throw error;
  };
  const results = await Promise.allSettled(loops.map((loop) => loop.catch(stopAll)));
  const failed = results.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
