import { reconnectDelayMs } from "../../streams/connect.ts";
import { CALL_BYTES, CALL_RECORDS } from "../../streams/enqueue.ts";
import type { EventDraft, LedgerEvent } from "../../streams/events.ts";
import { pause } from "../../streams/lane.ts";
import type { Plain } from "../../streams/plain-events.ts";
import { type RefusedWhy, type Settlement, settle } from "../../streams/settle.ts";
import type { Hold, Outgoing, WorkLane } from "../deliver/work-lane.ts";
import type { Notice, TellPlain } from "../middleware.ts";
import { asCancelled } from "./settlement.ts";

/** Calls on their way at once. More would make the calls smaller, and not the throughput larger. */
const MOST_IN_FLIGHT = 4;
/** While a call is on its way, another is worth it from so many settlements on. */
const WORTH_A_CALL = 64;

/** Something to be recorded that changes no state. Of a hold, it comes before that one's ending. */
export interface Note {
  readonly hold: Hold | undefined;
  readonly event: EventDraft;
}

/** Sends settlements: those of one tick in one call, several calls on their way. */
export interface SettleCalls {
  add(item: Outgoing): void;
  note(note: Note): void;
  /** Takes back the notes of a hold that have not been sent. */
  takeNotes(hold: Hold): readonly EventDraft[];
  /** Resolves when nothing is on its way. */
  drained(): Promise<void>;
}

/** What sending works with. */
export interface SettleCallsParts {
  readonly workLane: WorkLane;
  readonly announce: (notice: Notice) => void;
  readonly onAccepted: (item: Outgoing) => void;
  /** The entry is no longer this worker's, or not at this delivery. */
  readonly onFenced: (item: Outgoing) => void;
  /** Nobody will ever know. */
  readonly onGivenUp: (item: Outgoing) => void;
  /** Aborted when what is left is given up. */
  readonly signal: AbortSignal;
}

const none: readonly EventDraft[] = Object.freeze([]);

/** Keeps trying, whatever Redis answers: outcomes are refused by their fence, and never for being late. */
export function createSettleCalls(parts: SettleCallsParts): SettleCalls {
  const { workLane, announce, signal } = parts;
  const { lane, consumer } = workLane;
  let pending: Outgoing[] = [];
  let notes: Note[] = [];
  let inFlight = 0;
  let isScheduled = false;
  let most = CALL_RECORDS;
  let failures = 0;
  const waiters: (() => void)[] = [];

  const isEmpty = () => pending.length === 0 && notes.length === 0;
  const mayOverlap = () => failures === 0 && inFlight < MOST_IN_FLIGHT && pending.length >= WORTH_A_CALL;
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  const flush = () => {
    isScheduled = false;
    while (!isEmpty() && (inFlight === 0 || mayOverlap())) void send(takeBatch());
    if (inFlight === 0 && isEmpty()) for (const resolve of waiters.splice(0)) resolve();
  };
  const takeBatch = (): Outgoing[] => {
    const end = endOfCall(pending, most);
    const batch = end === pending.length ? pending : pending.slice(0, end);
    pending = end === pending.length ? [] : pending.slice(end);
    return batch;
  };

  const send = async (batch: Outgoing[]): Promise<void> => {
    const sentNotes = notes;
    notes = [];
    inFlight += 1;
    const settlements = batch.map((item) => {
      item.isSent = true;
      return item.settlement;
    });
    const told = sentNotes.map(({ event }) => event);
    try {
      const { cancelRequests, refused } = await settle(lane, { consumer, settlements, notes: told }, { signal });
      failures = 0;
      most = CALL_RECORDS;
      workLane.cancelRequests = cancelRequests;
      if (refused.size === 0) tell(batch, new Recorded(workLane.queue, settlements, told));
      else sortOut(batch, sentNotes, refused);
    } catch (error) {
      if (signal.aborted) giveUp(batch);
      else await putBack(batch, sentNotes, error);
    }
    inFlight -= 1;
    schedule();
  };
  const tell = (batch: Outgoing[], recorded: RecordedNotice) => {
    for (const item of batch) parts.onAccepted(item);
    announce(recorded);
  };
  /** Nothing of a refused call was done: what was refused is taken out, and the rest goes again, in order. */
  const sortOut = (batch: Outgoing[], sentNotes: readonly Note[], refused: ReadonlyMap<Settlement, RefusedWhy>) => {
    const why = new Map(Array.from(refused, ([settlement, word]) => [settlement.delivery, word]));
    const again: Outgoing[] = [];
    for (const item of batch) {
      const word = why.get(item.settlement.delivery);
      if (word === "fenced") parts.onFenced(item);
      else again.push(item);
      if (word !== "cancelled" || item.settlement.kind !== "moved") continue;
      item.settlement = asCancelled(item.settlement, consumer);
      workLane.cancelRequests = Math.max(workLane.cancelRequests, 1);
    }
    pending = [...again, ...pending];
    notes = [...sentNotes, ...notes];
  };
  /** An error that does not pass by itself: smaller calls find the record that Redis will not have, and the others go past it. */
  const putBack = async (batch: Outgoing[], sentNotes: readonly Note[], error: unknown) => {
    failures += 1;
    most = Math.max(1, batch.length >> 1);
    pending = batch.length === 1 ? [...pending, ...batch] : [...batch, ...pending];
    notes = [...sentNotes, ...notes];
    if (failures === 1 || failures % 30 === 0)
      announce({
        kind: "problem",
        what: "outcomes of runs cannot be recorded",
        error,
        facts: { queue: workLane.queue },
      });
    await pause(reconnectDelayMs(failures), signal);
  };
  const giveUp = (batch: Outgoing[]) => {
    for (const item of [...batch, ...pending.splice(0)]) parts.onGivenUp(item);
    notes = [];
  };

  return {
    add(item) {
      pending.push(item);
      schedule();
    },
    note(note) {
      notes.push(note);
      schedule();
    },
    takeNotes(hold) {
      if (notes.length === 0 || !notes.some((note) => note.hold === hold)) return none;
      const taken = notes.filter((note) => note.hold === hold);
      notes = notes.filter((note) => note.hold !== hold);
      return taken.map(({ event }) => event);
    },
    drained() {
      if (inFlight === 0 && isEmpty()) return Promise.resolve();
      schedule();
      return new Promise((resolve) => waiters.push(resolve));
    },
  };
}

type RecordedNotice = Extract<Notice, { kind: "events.recorded" }>;

/** What a call has recorded. The events are made when somebody asks for them: most middleware does not, of starts and successes. Of a class: a literal with a getter would have a hidden class of its own each time, which lives long. */
class Recorded implements RecordedNotice {
  readonly kind = "events.recorded";
  declare readonly queue: string;
  declare readonly isPlain: boolean;
  declare private readonly settlements: readonly Settlement[];
  declare private readonly notes: readonly EventDraft[];

  constructor(queue: string, settlements: readonly Settlement[], notes: readonly EventDraft[]) {
    this.queue = queue;
    this.isPlain = notes.length === 0 && settlements.every(({ isPlain }) => isPlain === true);
    this.settlements = settlements;
    this.notes = notes;
  }

  eachPlain(tell: TellPlain): void {
    for (const one of this.settlements as readonly (Settlement & Plain)[]) {
      const { task } = one.delivery.entry;
      if (one.kind === "started") tell(task, one.waitedMs, undefined);
      else tell(task, one.start?.waitedMs, one.durationMs);
    }
  }

  get events(): readonly Partial<LedgerEvent>[] {
    return this.settlements.flatMap(({ events }) => events).concat(this.notes) as readonly Partial<LedgerEvent>[];
  }
}

/** How many of those that wait go into one call. */
function endOfCall(pending: readonly Outgoing[], most: number): number {
  let bytes = 0;
  for (let index = 0; index < pending.length; index += 1) {
    bytes += (pending[index] as Outgoing).bytes;
    if (index === most || (index > 0 && bytes > CALL_BYTES)) return index;
  }
  return pending.length;
}
