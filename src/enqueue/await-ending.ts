import type { LedgerEvent } from "../../streams/events.ts";
import { compareIds, type LedgerEntry, splitId } from "../../streams/ledger.ts";
import type { Ask } from "./ask.ts";
import type { Follower, Waiter } from "./follow.ts";
import { eventsOf, readTail, runOf, startOf } from "./tail.ts";
import { isLast, isLive, type Whereabouts } from "./trace.ts";

/** What came of waiting: the ending, or that the run has joined another; or none in time; or nothing at all is known of the run. */
export type Awaited = { readonly event: LedgerEvent } | "none" | "untraced";

/** Waits for endings. */
export interface EndingWatch {
  /** Waits until a run has ended, but no longer than until the deadline (on `performance.now()`). */
  ending(one: Whereabouts, deadline: number): Promise<Awaited>;
}

/** How long ago a run was dispatched of which it is cheaper to read what came since than to look for its entry, in ms. */
const RECENT_MS = 2_000;

/** Follows first and looks back then, so that no ending falls between the two. Those who begin to wait in one tick look back together. */
export function createEndingWatch(ask: Ask, follower: Follower, nowMs: () => number): EndingWatch {
  const lookBack = createLookBack(ask, follower);
  const isRecent = ({ ledgerId }: Whereabouts) =>
    ledgerId !== undefined && ledgerId !== "-" && nowMs() - splitId(ledgerId)[0] < RECENT_MS;
  return {
    ending(one, deadline) {
      const { promise, resolve, reject } = Promise.withResolvers<Awaited>();
      const waiter: Waiter = { run: one.run, onEnding: (event) => resolve(event === undefined ? "none" : { event }) };
      const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()), "none");
      const watch = async () => {
        await follower.join(one.queue, one.keys, waiter);
        if (!isRecent(one) && (await isLive(ask, one))) return; // its ending is yet to come
        if (!(await lookBack(one))) resolve("untraced");
      };
      const watching = watch().catch(reject);
      return promise.finally(() => {
        clearTimeout(timer);
        follower.leave(one.queue, waiter);
        watching.then(() => follower.leave(one.queue, waiter)); // it may have joined only after that
      });
    },
  };
}

/** Reads what the tail already has of the runs, once for all that ask in one tick. Resolves to whether it had anything. */
type LookBack = (one: Whereabouts) => Promise<boolean>;

interface Looking {
  readonly one: Whereabouts;
  isSeen: boolean;
  readonly resolve: (isSeen: boolean) => void;
  readonly reject: (error: unknown) => void;
}

function createLookBack(ask: Ask, follower: Follower): LookBack {
  const waiting = new Map<string, Looking[]>();

  const look = async (queue: string) => {
    const all = waiting.get(queue) ?? [];
    waiting.delete(queue);
    try {
      await readBack(ask, all, (page) => follower.tell(queue, page));
      for (const { resolve, isSeen } of all) resolve(isSeen);
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  };

  return (one) =>
    new Promise((resolve, reject) => {
      const looking: Looking = { one, isSeen: one.ledgerId !== undefined, resolve, reject };
      const others = waiting.get(one.queue);
      if (others !== undefined) return void others.push(looking);
      waiting.set(one.queue, [looking]);
      setImmediate(look, one.queue);
    });
}

/** Reads the tail from where the first of the runs began, until all of them have ended or there is no more. */
async function readBack(
  ask: Ask,
  all: readonly Looking[],
  onPage: (page: readonly LedgerEntry[]) => void,
): Promise<void> {
  const [{ one: first }] = all as [Looking];
  const open = Map.groupBy(all, ({ one }) => one.run);
  const from = earliest(all.map(({ one }) => one.ledgerId ?? startOf(one.run)));
  for await (const page of readTail(ask, first.keys, from)) {
    onPage(page);
    for (const event of eventsOf(open, page, { queue: first.queue, incarnation: "" })) {
      const run = runOf(event) as string;
      for (const looking of open.get(run) ?? []) looking.isSeen = true;
      if (isLast(event.type)) open.delete(run);
    }
    if (open.size === 0) return;
  }
}

function earliest(ids: readonly string[]): string {
  return ids.reduce((a, b) => (a === "-" || (b !== "-" && compareIds(a, b) <= 0) ? a : b));
}
