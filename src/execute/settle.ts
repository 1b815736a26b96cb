import type { EventDraft } from "../../streams/events.ts";
import type { Settlement } from "../../streams/settle.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { expectDue, type Hold, keepHold, letGo, type WorkLane } from "../deliver/work-lane.ts";
import type { Notice } from "../middleware.ts";
import { createSettleCalls, type Item } from "./settle-calls.ts";
import { bytesOf, fencedNote } from "./settlement.ts";

/** The event by which a run is worked on: it says who, and at which delivery. */
type Start = EventDraft<"run.started">;

/** Takes what becomes of entries to Redis. */
export interface Settler {
  /** Records that an attempt has begun. The event goes out with what else the tick brings. */
  started(hold: Hold, event: Start): void;
  /** Records it with a strike, before the handler begins. False: the entry is no longer this worker's. */
  struck(hold: Hold, event: Start): Promise<boolean>;
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

/** A start that is not recorded yet, and the outcome that waits for it. */
interface Unrecorded {
  readonly item: Item;
  isSent: boolean;
  next: Item | undefined;
}

/** Sees to it that a run's outcome never comes before its start: together in one call, or once the start is recorded. */
export function createSettler({ workLane, capacity, onFenced, announce, signal }: SettlerParts): Settler {
  const starts = new Map<Hold, Unrecorded>();

  const gone = (hold: Hold) => {
    capacity.shift(hold, "gone");
    letGo(hold);
  };
  const calls = createSettleCalls({
    workLane,
    announce,
    signal,
    onSent({ hold, settlement }) {
      const start = settlement.kind === "started" ? starts.get(hold) : undefined;
      if (start !== undefined) start.isSent = true;
    },
    onAccepted({ hold, settlement, onDone }) {
      if (settlement.kind === "started") {
        const next = starts.get(hold)?.next;
        starts.delete(hold);
        if (next !== undefined) calls.add(next);
      } else {
        gone(hold);
        if (settlement.kind === "moved") expectDue(workLane, settlement.move.dueAt);
      }
      onDone?.(settlement);
    },
    onFenced({ hold, settlement, onDone }) {
      const next = starts.get(hold)?.next;
      starts.delete(hold);
      calls.note({ hold: undefined, event: fencedNote((next ?? { settlement }).settlement, workLane.consumer) });
      const { run, task } = settlement.delivery.entry;
      announce({ kind: "run.refused", run, task, why: "another worker, or a later delivery, owns it" });
      if (next !== undefined || settlement.kind !== "started") gone(hold);
      onDone?.(undefined);
      next?.onDone?.(undefined);
      onFenced(hold);
    },
    onGivenUp({ hold, onDone }) {
      const next = starts.get(hold)?.next;
      starts.delete(hold);
      gone(hold);
      onDone?.(undefined);
      next?.onDone?.(undefined);
    },
  });
  const start = (hold: Hold, event: Start, onDone?: (accepted: Settlement | undefined) => void) => {
    const isStrike = onDone !== undefined;
    const settlement = { kind: "started", delivery: hold.delivery, events: [event], isStrike } as const;
    const item: Item = { hold, settlement, bytes: bytesOf(settlement), onDone };
    // What is struck is awaited before it goes on: nothing may join it.
    starts.set(hold, { item, isSent: isStrike, next: undefined });
    calls.add(item);
  };

  return {
    started: (hold, event) => start(hold, event),
    struck: (hold, event) =>
      new Promise((resolve) => start(hold, event, (accepted) => resolve(accepted !== undefined))),
    conclude(hold, given, onSettled) {
      if (hold.phase === "settling" || hold.phase === "gone") return;
      capacity.shift(hold, "settling");
      keepHold(hold);
      const before = calls.takeNotes(hold);
      const settlement = before.length === 0 ? given : { ...given, events: [...before, ...given.events] };
      const item: Item = { hold, settlement, bytes: bytesOf(settlement), onDone: onSettled };
      const unrecorded = starts.get(hold);
      if (unrecorded === undefined) return calls.add(item);
      if (unrecorded.isSent) {
        unrecorded.next = item;
        return;
      }
      // Nothing was sent yet: the start goes in the same breath, and the ending's fence stands for both.
      starts.delete(hold);
      const { item: first } = unrecorded;
      first.settlement = { ...settlement, events: [...first.settlement.events, ...settlement.events] };
      first.bytes += item.bytes;
      first.onDone = onSettled;
    },
    note: (event, hold) => calls.note({ hold, event }),
    drained: calls.drained,
  };
}
