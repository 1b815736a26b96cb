import { CALL_RECORDS } from "../../streams/enqueue.ts";
import type { Delivery } from "../../streams/entry.ts";
import { reclaim, recover } from "../../streams/leases.ts";
import { read } from "../../streams/read.ts";
import type { Notice } from "../middleware.ts";
import type { Capacity } from "./capacity.ts";
import { compare } from "./compare.ts";
import { answerOf } from "./watch.ts";
import type { Hold, WorkLane } from "./work-lane.ts";

/** The ways, besides the blocking read, by which entries come into a worker's hands. One at a time in each lane: a comparison must not meet entries on their way. */
export interface Taking {
  /** Fetches what Redis holds for this worker and it does not know; drops what it no longer owns. Not while a read is under way. Throws when Redis does not answer. */
  compare(workLane: WorkLane): Promise<void>;
  /** Reads what there is room for, without waiting. */
  topUp(workLane: WorkLane): Promise<void>;
  /** Takes over what lapsed and departed workers hold, as far as there is room. Gives how many it took. */
  reclaim(workLane: WorkLane, signal: AbortSignal): Promise<number>;
  /** Looks through the lane for entries that nobody holds. */
  recover(workLane: WorkLane, signal: AbortSignal): Promise<void>;
}

/** What taking works with. */
export interface TakingParts {
  readonly capacity: Capacity;
  readonly leaseMs: number;
  readonly accept: (workLane: WorkLane, deliveries: readonly Delivery[]) => void;
  readonly lose: (hold: Hold) => void;
  readonly announce: (notice: Notice) => void;
}

/** Entries of a lane that the audit looks at in one call. */
const AUDIT_CHUNK = 200;
const ANSWER_MS = 5_000;

/** Takes within the room there is. */
export function createTaking({ capacity, leaseMs, accept, lose, announce }: TakingParts): Taking {
  const turns = new Map<WorkLane, Promise<unknown>>();
  const comparisons = new Map<WorkLane, Promise<void>>();
  const inTurn = async <T>(workLane: WorkLane, work: () => Promise<T>): Promise<T> => {
    const before = turns.get(workLane);
    const mine = (before ?? Promise.resolve()).then(work);
    turns.set(
      workLane,
      mine.catch(() => {}),
    );
    return mine;
  };
  const tell = (
    kind: "entries.reclaimed" | "entries.recovered" | "entries.received_again",
    { consumer, queue }: WorkLane,
    count: number,
  ) => {
    if (count > 0) announce({ kind, worker: consumer, queue, count });
  };
  const compareOne = async (workLane: WorkLane) => {
    const { lost, received } = await compare(workLane);
    workLane.mustCompare = false;
    for (const held of lost) lose(held);
    if (lost.length > 0) {
      const runs = lost.map((held) => held.delivery.entry.run);
      announce({ kind: "lease.lost", worker: workLane.consumer, queue: workLane.queue, runs });
    }
    accept(workLane, received);
    tell("entries.received_again", workLane, received.length);
  };

  return {
    compare(workLane) {
      const known = comparisons.get(workLane);
      if (known !== undefined) return known;
      const mine = inTurn(workLane, () => compareOne(workLane)).finally(() => comparisons.delete(workLane));
      comparisons.set(workLane, mine);
      return mine;
    },
    topUp: (workLane) =>
      inTurn(workLane, async () => {
        const count = Math.min(capacity.room(), CALL_RECORDS);
        if (count === 0) return;
        const { redis, keys } = workLane.lane;
        const reading = read(redis, keys, { consumer: workLane.consumer, count });
        accept(workLane, await answerOf(redis, reading, ANSWER_MS));
      }),
    reclaim: (workLane, signal) =>
      inTurn(workLane, async () => {
        const room = Math.min(capacity.roomForOthers(), CALL_RECORDS);
        if (room === 0 || workLane.isLeaseLost || workLane.isPaused) return 0;
        const claimant = { consumer: workLane.consumer, leaseMs, room };
        const { taken } = await reclaim(workLane.lane, claimant, { signal });
        workLane.doOthersWait = taken.length > 0;
        accept(workLane, taken);
        tell("entries.reclaimed", workLane, taken.filter((one) => one.isSuspect).length); // that others left is nothing to tell
        return taken.length;
      }),
    recover: (workLane, signal) =>
      inTurn(workLane, async () => {
        for (const stream of [2, 1] as const) {
          let from = "0-0";
          while (!signal.aborted && !workLane.isLeaseLost) {
            const room = capacity.room();
            if (room === 0) return;
            const { consumer } = workLane;
            const found = await recover(
              workLane.lane,
              { consumer, room, stream, from, chunk: AUDIT_CHUNK },
              { signal },
            );
            accept(workLane, found.taken);
            tell("entries.recovered", workLane, found.taken.length);
            if (found.next === "") break;
            from = found.next;
          }
        }
      }),
  };
}
