import type { Delivery } from "../../streams/entry.ts";
import type { Lane } from "../../streams/lane.ts";
import type { Settlement } from "../../streams/settle.ts";
import { type Bell, createBell } from "../bell.ts";
import type { TasktrailError } from "../errors.ts";
import { createRoster, type Placed, type Roster } from "../roster.ts";

/** Where a held entry is in a worker's hands. `settling`: its outcome is on its way to Redis. `gone`: settled, or no longer this worker's. */
export type HoldPhase = "waiting" | "running" | "settling" | "gone";

/** An entry in a worker's hands. */
export interface Hold extends Placed {
  /** Stream and id: what tells it from the lane's other entries. */
  readonly key: string;
  readonly delivery: Delivery;
  readonly workLane: WorkLane;
  /** When it came, by the monotonic clock, in ms. */
  readonly since: number;
  /** Changed by `Capacity.shift` alone, which counts. */
  phase: HoldPhase;
  /** Its cancel was asked for before it started. */
  isCancelled: boolean;
  /** Aborts the handler that runs for it. */
  abort: ((reason: TasktrailError) => void) | undefined;
  /** Its start, until Redis has taken it. */
  start: Outgoing | undefined;
}

/** A settlement on its way to Redis. */
export interface Outgoing {
  readonly hold: Hold;
  settlement: Settlement;
  /** About how many it takes on the wire. */
  bytes: number;
  isSent: boolean;
  /** Of a start that was sent: the outcome that waits for it. */
  next: Outgoing | undefined;
  /** Hears what was accepted; undefined: nothing was. */
  onDone: ((accepted: Settlement | undefined) => void) | undefined;
}

/** One queue's lane, as one worker works it. */
export interface WorkLane {
  readonly queue: string;
  readonly lane: Lane;
  readonly consumer: string;
  /** One for each entry, however often it was delivered. */
  readonly holds: Roster<Hold>;
  /** Cancel requests that wait in the lane, as Redis last told. */
  cancelRequests: number;
  isPaused: boolean;
  /** When the next scheduled run is due, in ms on Redis' clock; 0: none known. */
  nextDueAt: number;
  /** Too long since the last good beat: others may own what this worker holds. */
  isLeaseLost: boolean;
  /** What Redis has delivered may differ from what is known here: a reply was lost, or the lease. */
  mustCompare: boolean;
  /** Workers were seen to be gone that may hold entries: those go before what was never delivered. */
  doOthersWait: boolean;
  /** The blocking read that is under way. */
  reading: Promise<unknown> | undefined;
  /** Rings when something will be due sooner than was thought. */
  readonly dueBell: Bell;
  /** Rings when a worker is gone that may hold entries. */
  readonly goneBell: Bell;
}

/** A lane of which nothing is known yet. */
export function openWorkLane(lane: Lane, consumer: string): WorkLane {
  return {
    queue: lane.queue,
    lane,
    consumer,
    holds: createRoster(),
    cancelRequests: 0,
    isPaused: false,
    nextDueAt: 0,
    isLeaseLost: false,
    mustCompare: false,
    doOthersWait: true,
    reading: undefined,
    dueBell: createBell(),
    goneBell: createBell(),
  };
}

/** Takes note that something will be due then, in ms on Redis' clock. */
export function expectDue(workLane: WorkLane, dueAt: number): void {
  if (workLane.nextDueAt !== 0 && workLane.nextDueAt <= dueAt) return;
  workLane.nextDueAt = dueAt;
  workLane.dueBell.ring();
}

/** What tells an entry from the others of its lane. */
export function holdKey(entry: { readonly stream: number; readonly id: string }): string {
  return entry.stream === 1 ? entry.id : `again ${entry.id}`;
}

/** Takes entries into the worker's hands. */
export function hold(workLane: WorkLane, deliveries: readonly Delivery[], now: number): Hold[] {
  forgetEarlier(workLane, deliveries);
  return deliveries.map((delivery) => {
    const held = new Held(delivery, workLane, now);
    workLane.holds.add(held);
    return held;
  });
}

/** Of a class, as all that each run of a worker is made into: of literals V8 soon makes old ones at once (ARCHITECTURE.md, "young"). */
class Held implements Hold {
  declare readonly key: string;
  declare readonly delivery: Delivery;
  declare readonly workLane: WorkLane;
  declare readonly since: number;
  phase: HoldPhase = "waiting";
  isCancelled = false;
  abort: Hold["abort"] = undefined;
  start: Hold["start"] = undefined;
  place = -1;

  constructor(delivery: Delivery, workLane: WorkLane, since: number) {
    this.key = holdKey(delivery);
    this.delivery = delivery;
    this.workLane = workLane;
    this.since = since;
  }
}

/** Of an entry that was delivered before, the delivery before may be known here. */
function forgetEarlier({ holds }: WorkLane, deliveries: readonly Delivery[]): void {
  const again = deliveries.filter(({ delivery }) => delivery > 1);
  if (again.length === 0) return;
  const keys = new Set(again.map(holdKey));
  for (const earlier of holds.all()) if (keys.has(earlier.key)) holds.remove(earlier);
}

/** Knows an entry again that was let go, unless a later delivery of it has come in the meantime: its outcome is on its way, and it must not be fetched anew. */
export function keepHold(held: Hold): void {
  const { holds } = held.workLane;
  if (!holds.has(held) && !holds.all().some(({ key }) => key === held.key)) holds.add(held);
}

/** Forgets an entry, unless a later delivery of it has come in the meantime. */
export function letGo(held: Hold): void {
  held.workLane.holds.remove(held);
}
