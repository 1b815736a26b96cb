import { ready, reconnectDelayMs, refusal } from "../../streams/connect.ts";
import { CALL_RECORDS } from "../../streams/enqueue.ts";
import type { Delivery } from "../../streams/entry.ts";
import { ensureLane, pause } from "../../streams/lane.ts";
import { waitAndRead } from "../../streams/read.ts";
import type { Notice } from "../middleware.ts";
import type { Capacity } from "./capacity.ts";
import type { Reader } from "./reader.ts";
import type { Taking } from "./taking.ts";
import { answerOf } from "./watch.ts";
import type { WorkLane } from "./work-lane.ts";

/** The longest that a read blocks, in ms. */
export const BLOCK_MS = 5_000;
/** How much longer its answer may take, in ms. */
const ANSWER_MS = 2_000;
/** How often a paused lane is looked at, in ms. */
const PAUSED_MS = 500;

/** What a consume loop works with. */
export interface ConsumeParts {
  readonly workLane: WorkLane;
  /** Blocks, and so is nobody else's. */
  readonly reader: Reader;
  /** True when other loops of this worker read other lanes: then each blocks for one entry, and fetches the rest once it is there. */
  readonly isOneOfMany: boolean;
  readonly capacity: Capacity;
  readonly taking: Taking;
  /** Takes entries into hand. */
  readonly accept: (deliveries: readonly Delivery[]) => void;
  readonly announce: (notice: Notice) => void;
  /** Called when Redis has answered. */
  readonly onRead: () => void;
}

/** Reads a lane until the signal is aborted: as much as there is room for. What comes with the last read is not accepted: it stays with Redis. */
export async function consume(parts: ConsumeParts, signal: AbortSignal): Promise<void> {
  const { workLane, reader, capacity } = parts;
  let failures = 0;
  let wasAway = true; // before the first read, too, what is held is compared
  while (!signal.aborted) {
    try {
      if (!(await ready(reader.redis, 1_000, signal))) {
        wasAway = true;
        continue;
      }
      if (wasAway) await arrive(parts);
      wasAway = false;
      if (workLane.mustCompare) await parts.taking.compare(workLane);
      if (workLane.isPaused || workLane.isLeaseLost) await pause(PAUSED_MS, signal);
      else await capacity.whenRoom(signal);
      if (!mayRead(workLane) || signal.aborted) continue;
      // What others left has waited longest; only when there is none left is there time for what was never delivered.
      const taken = workLane.doOthersWait ? await parts.taking.reclaim(workLane, signal) : 0;
      if (taken === 0 && mayRead(workLane) && !signal.aborted) await readOnce(parts, signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      wasAway = true;
      failures += 1;
      await heal(parts, error, failures);
      await pause(reconnectDelayMs(failures), signal);
    }
  }
}

function mayRead({ isPaused, isLeaseLost, mustCompare }: WorkLane): boolean {
  return !isPaused && !isLeaseLost && !mustCompare;
}

async function readOnce(parts: ConsumeParts, signal: AbortSignal): Promise<void> {
  const { workLane, reader, capacity, isOneOfMany } = parts;
  const { keys } = workLane.lane;
  const { consumer } = workLane;
  const count = isOneOfMany ? 1 : Math.min(Math.max(1, capacity.room()), CALL_RECORDS);
  const reading = waitAndRead(reader.redis, keys, { consumer, count, blockMs: BLOCK_MS });
  workLane.reading = reading;
  const deliveries = await answerOf(reader.redis, reading, BLOCK_MS + ANSWER_MS).finally(() => {
    workLane.reading = undefined;
  });
  parts.onRead();
  if (signal.aborted) return; // the worker is leaving, and others take them over
  parts.accept(deliveries);
  if (isOneOfMany && deliveries.length > 0) await parts.taking.topUp(workLane);
}

/** After every connect: the id by which this connection is woken, and what a lost reply may have stranded. */
async function arrive({ reader, workLane, taking }: ConsumeParts): Promise<void> {
  reader.clientId = await reader.redis.client("ID").catch(() => undefined); // an ACL may forbid it: then the block is waited out
  await taking.compare(workLane);
}

/** What an error asks for besides another try. */
async function heal({ workLane, announce }: ConsumeParts, error: unknown, failures: number): Promise<void> {
  const { lane } = workLane;
  const kind = refusal(error);
  if (kind === "no_group") {
    announce({
      kind: "problem",
      what: "the queue had vanished from Redis, and is made anew",
      facts: { queue: lane.queue },
    });
    await ensureLane(lane.redis, lane.namespace, lane.queue).catch(() => {}); // the next try asks for it again
  } else if (kind !== "away" && (failures === 1 || failures % 30 === 0)) {
    announce({ kind: "problem", what: "the queue cannot be read", error, facts: { queue: lane.queue } });
  }
}
