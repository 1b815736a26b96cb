import type { DatabasePool } from "slonik";
import { type ArchivedEntry, type EntryPosition, findEntries } from "../sql/queries/archive.ts";
import type { LiveRun } from "../sql/queries/repair.ts";
import { isEnding, type LedgerEvent } from "../streams/events.ts";
import { batchToken, isLedgerEvent, splitId } from "../streams/ledger.ts";
import type { LostRun, Origin } from "../streams/repair.ts";
import { decodeArchived, laneName } from "./archive.ts";
import { type LostFrom, toLostRun } from "./lost-runs.ts";
import { parsePositions } from "./positions.ts";

/** Lost runs that were made together: by one call of a producer, or one firing of a schedule. */
export interface LostTogether {
  readonly origin: Omit<Origin, "remembered">;
  readonly runs: LostRun[];
}

const ENTRIES_AT_ONCE = 100;

/** Reads what the archive has of some runs, and groups them by what made them. Those whose dispatch is not archived are counted. */
export async function readLost(
  pool: DatabasePool,
  runs: readonly LiveRun[],
  { namespace, ...from }: LostFrom & { readonly namespace: string },
): Promise<{ readonly together: readonly LostTogether[]; readonly unknownCount: number }> {
  const histories = new Map<string, LedgerEvent[]>(runs.map(({ id }) => [id, []]));
  const origins = new Map<string, LostTogether["origin"]>();
  for await (const entry of entriesOf(pool, namespace, runs)) {
    const events = decodeArchived(entry).filter(isLedgerEvent);
    for (const event of events) {
      const { run } = event as { run?: string };
      const history = run === undefined ? undefined : histories.get(run);
      if (run === undefined || history === undefined) continue;
      history.push(event);
      if (event.type === "run.enqueued") origins.set(run, originOf(entry, run, events));
    }
  }
  const together = new Map<string, LostTogether>();
  let unknownCount = 0;
  for (const [run, history] of histories) {
    if (history.some(({ type }) => isEnding(type))) continue; // its row says otherwise: the first ending stands
    const lost = toLostRun(history, from);
    const origin = origins.get(run);
    if (lost === undefined || origin === undefined) unknownCount += 1;
    else {
      const key = `${origin.writer} ${origin.call}`;
      const known = together.get(key) ?? { origin, runs: [] };
      known.runs.push(lost);
      together.set(key, known);
    }
  }
  return { together: [...together.values()], unknownCount };
}

/** The archived entries that rows name, in order. */
async function* entriesOf(
  pool: DatabasePool,
  namespace: string,
  runs: readonly LiveRun[],
): AsyncGenerator<ArchivedEntry> {
  const wanted = new Map<string, EntryPosition>();
  for (const { positions } of runs)
    for (const { queue, incarnation, id } of parsePositions(positions).entries) {
      const [ms, seq] = splitId(id);
      wanted.set(`${queue}/${incarnation}/${id}`, { lane: laneName(namespace, queue), incarnation, ms, seq });
    }
  const ordered = [...wanted.values()].sort((a, b) => a.ms - b.ms || a.seq - b.seq);
  for (let from = 0; from < ordered.length; from += ENTRIES_AT_ONCE)
    yield* await findEntries(pool, ordered.slice(from, from + ENTRIES_AT_ONCE));
}

function originOf({ header }: ArchivedEntry, run: string, events: readonly LedgerEvent[]): LostTogether["origin"] {
  const token = batchToken(header);
  const slash = token.lastIndexOf("/");
  const call = Number(token.slice(slash + 1));
  const fired = events.find((event) => event.type === "slot.fired" && event.run === run) as
    | LedgerEvent<"slot.fired">
    | undefined;
  // A trigger by hand is a slot of its own, and moves no schedule on.
  const isOfSchedule = fired !== undefined && fired.trigger !== "manual" && !(call > 0);
  return {
    writer: slash < 0 ? "unknown" : token.slice(0, slash),
    call: Number.isSafeInteger(call) ? call : 0,
    fired: isOfSchedule ? { schedule: fired.schedule, slot: fired.slot, last: "" } : undefined,
  };
}
