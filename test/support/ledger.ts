import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { isEnding, type LedgerEvent } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";
import { compareIds, decodeEntry, isLedgerEvent, readEntries, waitForEntries } from "../../streams/ledger.ts";
import { firstIllegal, stateAfter } from "../../streams/run.ts";

/** A queue's ledger as a test reads it: waiting on it, and not on the clock. */
export interface TestLedger extends AsyncDisposable {
  readonly redis: Redis;
  /** All events so far, oldest first. */
  events(): Promise<LedgerEvent[]>;
  /** The types of one run's events, notes included. */
  historyOf(run: string): Promise<string[]>;
  /** Waits until `find` gives something of the events so far. Throws after `timeoutMs` (default 15 s), with what was there. */
  waitFor<T>(find: (events: readonly LedgerEvent[]) => T | undefined | false, timeoutMs?: number): Promise<T>;
  /** Waits for the ending of each run. */
  ended(runs: readonly string[], timeoutMs?: number): Promise<LedgerEvent[]>;
  /** Every run's history is one that the state machine allows. */
  assertLegal(): Promise<void>;
}

/** Opens it on connections of its own. */
export async function openLedger(url: string, namespace: string, queue = "default"): Promise<TestLedger> {
  const redis = new Redis(url);
  const blocking = new Redis(url);
  const keys = laneKeys(namespace, queue);
  const known: LedgerEvent[] = [];
  let last = "0-0";

  const take = (entries: Awaited<ReturnType<typeof readEntries>>) => {
    for (const entry of entries) {
      if (compareIds(entry.id, last) <= 0) continue;
      last = entry.id;
      known.push(...decodeEntry(entry, { queue, incarnation: "test" }).filter(isLedgerEvent));
    }
  };
  const events = async () => {
    for (;;) {
      const entries = await readEntries(redis, keys, { from: `(${last}`, count: 1_000 });
      take(entries);
      if (entries.length < 1_000) return [...known];
    }
  };
  const waitFor: TestLedger["waitFor"] = async (find, timeoutMs = 15_000) => {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = find(await events());
      if (found !== undefined && found !== false) return found;
      const left = Math.ceil(deadline - performance.now());
      if (left <= 0) throw new Error(`Not within ${timeoutMs} ms. The ledger says:\n${tell(known)}`);
      take(await waitForEntries(blocking, keys, { id: last, count: 1_000, blockMs: Math.min(left, 1_000) }));
    }
  };
  return {
    redis,
    events,
    waitFor,
    async historyOf(run) {
      return (await events()).filter((event) => "run" in event && event.run === run).map(({ type }) => type);
    },
    ended: (runs, timeoutMs) =>
      waitFor((all) => {
        const endings = new Map<string, LedgerEvent>();
        for (const event of all)
          if ("run" in event && event.run !== undefined && isEnding(event.type)) endings.set(event.run, event);
        const found = runs.map((run) => endings.get(run));
        return found.every((event) => event !== undefined) ? (found as LedgerEvent[]) : undefined;
      }, timeoutMs),
    async assertLegal() {
      const byRun = Map.groupBy(
        (await events()).filter((event) => "run" in event && event.run !== undefined),
        (event) => (event as { run: string }).run,
      );
      for (const [run, history] of byRun) {
        const illegal = firstIllegal(history);
        assert.equal(
          illegal,
          undefined,
          `run ${run} ${JSON.stringify(illegal)}:\n${tell(history)}\n${stateAfter(history)}`,
        );
      }
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      blocking.disconnect();
    },
  };
}

function tell(events: readonly LedgerEvent[]): string {
  return events
    .slice(-40)
    .map((event) => `  ${JSON.stringify(event)}`)
    .join("\n");
}
