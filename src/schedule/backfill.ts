import { type Backfilling, fireBackfill } from "../../streams/cron.ts";
import { cutIntoCalls } from "../../streams/enqueue.ts";
import { passTurn } from "../../streams/schedules.ts";
import { aroundSend, sendHooks } from "../enqueue/around-send.ts";
import { redisUnavailable } from "../errors.ts";
import type { Carrier } from "../middleware.ts";
import { findSchedule, type Limits, type ManageParts, type ReadSchedule } from "./find.ts";
import { type Gap, gapsIn, pastWith } from "./gaps.ts";
import { toFiring } from "./record-slot.ts";
import { adopt, type Known, newSchedule, type Schedule } from "./schedule.ts";

/** A run that a backfill made. */
export interface Backfilled {
  readonly run: string;
  readonly queue: string;
}

/** Which slots are to be filled: both ends belong to it. In ms. */
export interface BackfillRange {
  readonly from: number;
  readonly until: number;
}

/** Most calls in a row that find another process to have been faster. */
const MOST_CONFLICTS = 50;

/**
 * Fires the slots of a range that did not fire, oldest first, a call's worth at a time. Of several processes that do the same each slot
 * is fired by one. `limits` gives each call its own time.
 */
export async function backfill(
  parts: ManageParts,
  id: string,
  { range, limits }: { readonly range: BackfillRange; readonly limits: () => Limits },
): Promise<Backfilled[]> {
  const done: Backfilled[] = [];
  for (let conflicts = 0; conflicts < MOST_CONFLICTS; ) {
    const found = await findSchedule(parts, id, limits());
    const { lane, kept, definition } = found;
    const gaps = gapsIn({ kept, definition, ...range, nowMs: lane.clock.now() });
    if (gaps.length === 0) return done;
    const runs = await fill(parts, { id, found, gaps, before: done.length }, limits());
    if (runs.length === 0) conflicts += 1;
    // Those of the calls before may all have ended: then nobody would tell these that it is their turn.
    if (done.length > 0) await passTurn(lane, id, "", limits());
    done.push(...runs.map((run) => ({ run, queue: lane.queue })));
  }
  throw redisUnavailable(parts.enqueueTimeoutMs(), new Error(`others kept changing schedule "${id}"`));
}

interface Filling {
  readonly id: string;
  readonly found: ReadSchedule;
  readonly gaps: readonly Gap[];
  /** How many were filled by calls before this one. */
  readonly before: number;
}

/** What an entry's meta takes at most, beside what hooks add. */
const META_ROOM = "x".repeat(400);

/** Fires as many of the gaps as go into one call, and gives their runs; none when another process was faster. */
async function fill(parts: ManageParts, { id, found, gaps, before }: Filling, limits: Limits): Promise<string[]> {
  const { lane, kept, definition } = found;
  const { task, input: body = "" } = definition.content;
  const [first = []] = cutIntoCalls(gaps.map((gap) => ({ gap, body, meta: META_ROOM })));
  const filled = first.map(({ gap }) => gap);
  const past = { known: kept.past, next: pastWith(found, filled) };
  const schedule = newSchedule({ name: id, own: undefined, lane });
  adopt(schedule, { definition: kept.definition, standing: kept }, lane.clock.now());
  const known = schedule.known as Known;
  const firings = (carrier: Carrier) =>
    filled.map((gap, index) => firingOf(schedule, known, { gap, before: before + index, carrier }));
  const runs = firings({}).map(({ run }) => run.id);
  const dispatch = async (carrier: Carrier) => {
    const made = firings(carrier);
    const events = made.flatMap((one) => one.events);
    const call = { schedule: id, definition: kept.definition, past, runs: made.map(({ run }) => run), events };
    if (!(await fireBackfill(lane, call, limits))) return [];
    parts.announce({ kind: "events.recorded", queue: lane.queue, events });
    return runs;
  };
  const { announce, middleware } = parts;
  return aroundSend({ hooks: sendHooks(middleware()), announce, sending: { task, queue: lane.queue, runs }, dispatch });
}

/** The run of a gap, and the events that tell of it: as for any slot, but that the slot before it is the one before it in the past. */
function firingOf(
  schedule: Schedule,
  known: Known,
  { gap, before, carrier }: { readonly gap: Gap; readonly before: number; readonly carrier: Carrier },
): Pick<Backfilling, "events"> & { readonly run: Backfilling["runs"][number] } {
  const { slot, previous, rerun } = gap;
  const standing = { ...known.situation.standing, fired: previous };
  const then: Known = { ...known, situation: { ...known.situation, standing } };
  const step = { missed: [], due: { slot, trigger: "backfill", rerun, before } } as const;
  const { events, run } = toFiring(schedule, then, { step, carrier, nowMs: schedule.lane.clock.now() });
  const made = run as NonNullable<typeof run>;
  return { events, run: { ...made, slot, dueAt: made.dueAt ?? 0 } };
}
