import type { EventDraft } from "../../streams/events.ts";
import type { Settlement } from "../../streams/settle.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { expectDue, type Hold, keepHold, letGo, type Outgoing, type WorkLane } from "../deliver/work-lane.ts";
import type { Notice } from "../middleware.ts";
import { withStart } from "./plain-settlement.ts";
import { createSettleCalls } from "./settle-calls.ts";
import { bytesOf, fencedNote } from "./settlement.ts";

/** How an attempt begins. */
type Start = Settlement & { readonly kind: "started" };

/** Takes what becomes of entries to Redis. */
export interface Settler {
  /** Records that an attempt has begun. The event goes out with what else the tick brings. */
  started(hold: Hold, start: Start): void;
  /** Records it with a strike, before the handler begins. False: the entry is no longer this worker's. */
  struck(hold: Hold, start: Start): Promise<boolean>;
  /** Records what became of an entry. `onSettled` hears what was accepted, which is a cancel in the place of another try if one was asked for; undefined when nothing was. */
  conclude(hold: Hold, settlement: Settlement, onSettled?: (accepted: Settlement | undefined) => void): void;
  /** Records something that changes no state; of a hold, before its ending. */
  note(event: EventDraft, hold?: Hold): void;
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

/** Sees to it that a run's outcome never comes before its start: together in one call, or once the start is recorded. */
export function createSettler({ workLane, capacity, onFenced, announce, signal }: SettlerParts): Settler {
  const gone = (hold: Hold) => {
    capacity.shift(hold, "gone");
    letGo(hold);
  };
  /** The outcome that waited for a start whose fate is known now. */
  const takeNext = ({ hold, settlement }: Outgoing): Outgoing | undefined => {
    const next = settlement.kind === "started" ? hold.start?.next : undefined;
    hold.start = undefined;
    return next;
  };
  const calls = createSettleCalls({
    workLane,
    announce,
    signal,
    onAccepted(item) {
      const { hold, settlement, onDone } = item;
      if (settlement.kind === "started") {
        const next = takeNext(item);
        if (next !== undefined) calls.add(next);
      } else {
        gone(hold);
        if (settlement.kind === "moved") expectDue(workLane, settlement.move.dueAt);
      }
      onDone?.(settlement);
    },
    onFenced(item) {
      const { hold, settlement, onDone } = item;
      const next = takeNext(item);
      calls.note({ hold: undefined, event: fencedNote((next ?? { settlement }).settlement, workLane.consumer) });
      const { run, task } = settlement.delivery.entry;
      announce({ kind: "run.refused", run, task, why: "another worker, or a later delivery, owns it" });
      if (next !== undefined || settlement.kind !== "started") gone(hold);
      onDone?.(undefined);
      next?.onDone?.(undefined);
      onFenced(hold);
    },
    onGivenUp(item) {
      const next = takeNext(item);
      gone(item.hold);
      item.onDone?.(undefined);
      next?.onDone?.(undefined);
    },
  });
  const begin = (item: OutgoingItem) => {
    item.hold.start = item;
    calls.add(item);
  };

  return {
    started: (hold, start) => begin(new OutgoingItem(hold, start, undefined)),
    struck: (hold, { delivery, events }) =>
      new Promise((resolve) => {
        const strike: Start = { kind: "started", delivery, events, isStrike: true };
        const item = new OutgoingItem(hold, strike, (accepted) => resolve(accepted !== undefined));
        item.isSent = true; // it is awaited before anything goes on: nothing may join it
        begin(item);
      }),
    conclude(hold, given, onSettled) {
      if (hold.phase === "settling" || hold.phase === "gone") return;
      capacity.shift(hold, "settling");
      keepHold(hold);
      const before = calls.takeNotes(hold);
      const settlement = before.length === 0 ? given : after(before, given);
      const first = hold.start;
      if (first === undefined) return calls.add(new OutgoingItem(hold, settlement, onSettled));
      if (first.isSent) {
        first.next = new OutgoingItem(hold, settlement, onSettled);
        return;
      }
      // Nothing was sent yet: the start goes in the same breath, and the ending's fence stands for both.
      hold.start = undefined;
      first.settlement = withStart(settlement, first.settlement) ?? after(first.settlement.events, settlement);
      first.bytes += bytesOf(settlement);
      first.onDone = onSettled;
    },
    note: (event, hold) => calls.note({ hold, event }),
    drained: calls.drained,
  };
}

/** A settlement with the events that come before its own. */
function after(before: readonly EventDraft[], settlement: Settlement): Settlement {
  const { kind, delivery, events } = settlement;
  const all = before.concat(events);
  if (kind !== "ended") return { ...settlement, events: all, isPlain: false };
  const { result, keyUntil, lockLeftMs } = settlement;
  return { kind, delivery, events: all, result, keyUntil, lockLeftMs };
}

/** Of a class, as `Held` is. */
class OutgoingItem implements Outgoing {
  declare readonly hold: Hold;
  declare settlement: Settlement;
  declare bytes: number;
  isSent = false;
  next: Outgoing | undefined = undefined;
  declare onDone: Outgoing["onDone"];

  constructor(hold: Hold, settlement: Settlement, onDone: Outgoing["onDone"]) {
    this.hold = hold;
    this.settlement = settlement;
    this.bytes = bytesOf(settlement);
    this.onDone = onDone;
  }
}
