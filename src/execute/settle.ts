import { reconnectDelayMs } from "../../streams/connect.ts";
import { CALL_BYTES, CALL_RECORDS } from "../../streams/enqueue.ts";
import type { Delivery } from "../../streams/entry.ts";
import type { EventDraft, EventType } from "../../streams/events.ts";
import { pause } from "../../streams/lane.ts";
import { type RefusedWhy, type Settlement, settle } from "../../streams/settle.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { expectDue, type Hold, keepHold, letGo, type WorkLane } from "../deliver/work-lane.ts";
import type { Notice } from "../middleware.ts";

/** Calls on their way at once. More would make the calls smaller, and not the throughput larger. */
const MOST_IN_FLIGHT = 4;
/** While a call is on its way, another is worth it from so many settlements on. */
const WORTH_A_CALL = 64;

/** The event by which a run is worked on: it says who, and at which delivery. */
type Start = EventDraft<"run.started">;

/** Takes outcomes to Redis: those of one tick in one call, several calls on their way. */
export interface Settler {
  /** Records that an attempt has begun. The event goes out with what comes next. */
  started(hold: Hold, event: Start): void;
  /** Records it with a strike, before the handler begins. False: the entry is no longer this worker's. */
  struck(hold: Hold, event: Start): Promise<boolean>;
  /** Records what became of an entry, and what it leaves behind. `onSettled` hears whether that was accepted. */
  conclude(hold: Hold, settlement: Settlement, onSettled?: (isAccepted: boolean) => void): void;
  /** Records something that changes no state. */
  note(event: EventDraft): void;
  /** Resolves when nothing is on its way. */
  drained(): Promise<void>;
}

/** What a settler works with. */
export interface SettlerParts {
  readonly workLane: WorkLane;
  readonly capacity: Capacity;
  /** Hears of an entry that is no longer this worker's, or not at this delivery. */
  readonly onFenced: (hold: Hold) => void;
  readonly announce: (notice: Notice) => void;
  /** Aborted when what is left is given up. */
  readonly signal: AbortSignal;
}

interface Item {
  readonly hold: Hold;
  settlement: Settlement;
  bytes: number;
  onDone: ((isAccepted: boolean) => void) | undefined;
}

/** One buffer per lane. */
export function createSettler(parts: SettlerParts): Settler {
  const { workLane, capacity, announce, signal } = parts;
  const { lane, consumer } = workLane;
  let pending: Item[] = [];
  let notes: EventDraft[] = [];
  let inFlight = 0;
  let isScheduled = false;
  let most = CALL_RECORDS;
  let failures = 0;
  const idleWaiters: (() => void)[] = [];
  /** Of holds whose start is not recorded yet: where it is. */
  const starts = new Map<Hold, { item: Item; isSent: boolean; next: Item | undefined }>();

  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  const flush = () => {
    isScheduled = false;
    while (pending.length + notes.length > 0 && (inFlight === 0 || mayOverlap())) void send(takeBatch());
    if (inFlight > 0 || pending.length + notes.length > 0) return;
    for (const resolve of idleWaiters.splice(0)) resolve();
  };
  const mayOverlap = () => failures === 0 && inFlight < MOST_IN_FLIGHT && pending.length >= WORTH_A_CALL;
  const add = (item: Item) => {
    pending.push(item);
    schedule();
  };
  const takeBatch = (): Item[] => {
    let bytes = 0;
    let end = 0;
    while (end < pending.length && end < most) {
      bytes += (pending[end] as Item).bytes;
      if (end > 0 && bytes > CALL_BYTES) break;
      end += 1;
    }
    const batch = end === pending.length ? pending : pending.slice(0, end);
    pending = end === pending.length ? [] : pending.slice(end);
    return batch;
  };

  const send = async (batch: Item[]): Promise<void> => {
    const sentNotes = notes;
    notes = [];
    inFlight += 1;
    for (const { hold, settlement } of batch) {
      const start = settlement.kind === "started" ? starts.get(hold) : undefined;
      if (start !== undefined) start.isSent = true;
    }
    const settlements = batch.map((item) => item.settlement);
    try {
      const hasCancelRequests = workLane.cancelRequests > 0;
      const answer = await settle(lane, { consumer, settlements, notes: sentNotes, hasCancelRequests }, { signal });
      failures = 0;
      most = CALL_RECORDS;
      workLane.cancelRequests = answer.cancelRequests;
      if (answer.refused.size > 0) {
        notes = [...sentNotes, ...notes];
        sortOut(batch, answer.refused);
      } else {
        for (const item of batch) accepted(item);
        tell([...settlements.flatMap((one) => one.events), ...sentNotes]);
      }
    } catch (error) {
      notes = [...sentNotes, ...notes];
      await failed(batch, error);
    }
    inFlight -= 1;
    schedule();
  };
  const tell = (events: EventDraft[]) => {
    if (events.length > 0) announce({ kind: "events.recorded", queue: workLane.queue, events: events as never });
  };

  const accepted = ({ hold, settlement, onDone }: Item) => {
    if (settlement.kind === "started") {
      const next = starts.get(hold)?.next;
      starts.delete(hold);
      if (next !== undefined) add(next);
    } else {
      capacity.shift(hold, "gone");
      letGo(hold);
      if (settlement.kind === "moved") expectDue(workLane, settlement.move.dueAt);
    }
    onDone?.(true);
  };
  /** Nothing of a refused call was done: what was refused is taken out, and the rest goes again, in order. */
  const sortOut = (batch: Item[], refused: ReadonlyMap<Settlement, RefusedWhy>) => {
    const fenced = new Set<Delivery>();
    for (const [{ delivery }, why] of refused) if (why === "fenced") fenced.add(delivery);
    const again: Item[] = [];
    for (const item of batch) {
      if (fenced.has(item.settlement.delivery)) dropped(item);
      else {
        if (refused.get(item.settlement) === "cancelled") item.settlement = asCancelled(item.settlement, consumer);
        again.push(item);
      }
    }
    workLane.cancelRequests = Math.max(workLane.cancelRequests, refused.size > fenced.size ? 1 : 0);
    pending = [...again, ...pending];
  };
  const dropped = (item: Item) => {
    const { hold, settlement } = item;
    const next = starts.get(hold)?.next;
    starts.delete(hold);
    notes.push(fencedNote(settlement, consumer));
    const { run, task } = settlement.delivery.entry;
    announce({ kind: "run.refused", run, task, why: "another worker, or a later delivery, owns it" });
    if (settlement.kind !== "started") {
      capacity.shift(hold, "gone");
      letGo(hold);
    }
    item.onDone?.(false);
    if (next !== undefined) {
      capacity.shift(hold, "gone");
      letGo(hold);
      next.onDone?.(false);
    }
    parts.onFenced(hold);
  };
  /** An error that does not pass by itself: smaller calls find the record that Redis will not have, and the others go past it. */
  const failed = async (batch: Item[], error: unknown) => {
    if (signal.aborted) {
      notes = [];
      for (const { hold, onDone } of [...batch, ...pending.splice(0)]) {
        capacity.shift(hold, "gone");
        onDone?.(false);
      }
      return;
    }
    failures += 1;
    most = Math.max(1, batch.length >> 1);
    if (failures === 1 || failures % 30 === 0) {
      announce({
        kind: "problem",
        what: "outcomes of runs cannot be recorded",
        error,
        facts: { queue: workLane.queue },
      });
    }
    pending = batch.length === 1 ? [...pending, ...batch] : [...batch, ...pending];
    await pause(reconnectDelayMs(failures), signal);
  };

  return {
    started(hold, event) {
      const item: Item = {
        hold,
        settlement: { kind: "started", delivery: hold.delivery, events: [event] },
        bytes: 300,
        onDone: undefined,
      };
      starts.set(hold, { item, isSent: false, next: undefined });
      add(item);
    },
    struck: (hold, event) =>
      new Promise((resolve) => {
        const settlement = { kind: "started", delivery: hold.delivery, events: [event], isStrike: true } as const;
        const item: Item = { hold, settlement, bytes: 300, onDone: resolve };
        starts.set(hold, { item, isSent: true, next: undefined });
        add(item);
      }),
    conclude(hold, settlement, onSettled) {
      if (hold.phase === "settling" || hold.phase === "gone") return;
      capacity.shift(hold, "settling");
      keepHold(hold);
      const start = starts.get(hold);
      const item: Item = { hold, settlement, bytes: bytesOf(settlement), onDone: onSettled };
      if (start === undefined) return add(item);
      if (start.isSent) {
        start.next = item; // an ending must not overtake the start, which may have to go again
        return;
      }
      // Nothing was sent yet: the start goes in the same breath, and the ending's fence stands for both.
      starts.delete(hold);
      start.item.settlement = { ...settlement, events: [...start.item.settlement.events, ...settlement.events] };
      start.item.bytes += item.bytes;
      start.item.onDone = onSettled;
    },
    note(event) {
      notes.push(event);
      schedule();
    },
    drained() {
      if (inFlight === 0 && pending.length + notes.length === 0) return Promise.resolve();
      schedule();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
  };
}

function bytesOf(settlement: Settlement): number {
  const { entry } = settlement.delivery;
  const base = 400 * settlement.events.length;
  if (settlement.kind === "moved") return base + entry.body.length + settlement.move.meta.length;
  if (settlement.kind === "dead") return base + entry.body.length + entry.meta.length + settlement.error.length * 2;
  if (settlement.kind === "ended") return base + (settlement.result?.json.length ?? 0);
  return base;
}

interface EventOfAttempt {
  readonly type: EventType;
  readonly run: string;
  readonly task: string;
  readonly attempt?: number;
  readonly durationMs?: number;
  readonly traceparent?: string;
}

/** What was to be tried again ends, since its cancel had been asked for. */
function asCancelled(settlement: Settlement, worker: string): Settlement {
  const events = settlement.events.slice(0, -1);
  const { run, task, attempt, durationMs, traceparent } = settlement.events.at(-1) as EventOfAttempt;
  const cancelled: EventDraft<"run.cancelled"> = {
    type: "run.cancelled",
    run,
    task,
    worker,
    ...(attempt === undefined ? {} : { attempt }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  const keyUntil = keyUntilOf(settlement);
  return { kind: "ended", delivery: settlement.delivery, events: [...events, cancelled], keyUntil };
}

function keyUntilOf({ delivery }: Settlement): number | undefined {
  if (delivery.entry.key === "") return undefined;
  try {
    return (JSON.parse(delivery.entry.meta) as { keyUntil?: number }).keyUntil;
  } catch {
    return undefined;
  }
}

function fencedNote(settlement: Settlement, worker: string): EventDraft<"run.fenced"> {
  const { run, task, attempt = 0 } = settlement.events.at(-1) as EventOfAttempt;
  const { type, delivery } = { type: settlement.events.at(-1)?.type ?? "", delivery: settlement.delivery.delivery };
  return { type: "run.fenced", run, task, attempt, delivery, worker, refused: type };
}
