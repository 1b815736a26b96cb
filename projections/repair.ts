import { randomBytes } from "node:crypto";
import type { DatabasePool } from "slonik";
import { type Life, markRepaired } from "../sql/queries/lives.ts";
import { listParked } from "../sql/queries/parked.ts";
import {
  type EndedRun,
  FIRST_ID,
  findEnded,
  findLiveRuns,
  findPastSlots,
  type LiveRun,
} from "../sql/queries/repair.ts";
import type { Lane } from "../streams/lane.ts";
import {
  CLAIM_MS,
  claimRepair,
  endRepair,
  type Origin,
  recallSlots,
  releaseRepair,
  rememberedOf,
  restore,
  type StaleEntry,
  withdraw,
} from "../streams/repair.ts";
import { laneName } from "./archive.ts";
import { createMovedRuns, type LyingEntry, type MovedRuns, readLying } from "./lane-contents.ts";
import { type LostTogether, readLost } from "./lost-origins.ts";

/** What a repair works with. */
export interface RepairDeps {
  readonly pool: DatabasePool;
  readonly lane: Lane;
  readonly life: Life;
  readonly signal: AbortSignal;
}

/** What a repair has done. */
export interface Repaired {
  /** Runs that lie in the lane again. */
  readonly restoredCount: number;
  /** Entries that went, since their runs had ended. */
  readonly withdrawnCount: number;
  /** Runs that cannot come back, since the archive does not have their dispatch. */
  readonly lostCount: number;
}

/** Another projector has taken the repair over. */
class Taken extends Error {}

const REASON = "history_diverged";
/** How long a stopped repair tries to give its claim up. */
const RELEASE_MS = 2_000;
const ROWS_AT_ONCE = 200;
const WITHDRAWN_AT_ONCE = 100;

/**
 * Brings back what a lane has lost with its history, from the archive: runs that were dispatched, have not ended and are not in the lane are appended
 * again under their ids; entries whose runs have ended go. It may be stopped anywhere, and done again by anybody, at once: what it has done by
 * then it finds done. To be called before the new life is projected, so that the rows are those of the lives before. Undefined: another one is at it.
 */
export async function repairLane(deps: RepairDeps): Promise<Repaired | undefined> {
  const { pool, lane, life, signal } = deps;
  const token = randomBytes(9).toString("base64url");
  try {
    const work = { ...deps, token, keep: keeper(deps, token) };
    await work.keep(true);
    await recallPast(work);
    const { present, withdrawnCount } = await withdrawEnded(work);
    const moved = createMovedRuns(lane, `${life.afterMs}-${life.afterSeq}`);
    await moved.catchUp();
    const repaired = { ...(await restoreLost({ ...work, present, moved })), withdrawnCount };
    await endRepair(lane, { token, event: { type: "lane.repaired", ...repaired } }, { signal });
    await markRepaired(pool, laneName(lane.namespace, lane.queue), life.incarnation);
    return repaired;
  } catch (error) {
    if (error instanceof Taken) return undefined;
    // Not with the signal, which may be what has stopped it. Without an answer the claim lapses by itself.
    await releaseRepair(lane, token, { deadline: performance.now() + RELEASE_MS }).catch(() => {});
    throw error;
  }
}

/** Keeps the claim, now and then or at once. Throws Taken. */
function keeper({ lane, signal }: RepairDeps, token: string): (isUrgent?: boolean) => Promise<void> {
  let keptAt = Number.NEGATIVE_INFINITY;
  return async (isUrgent = false) => {
    if (!isUrgent && performance.now() - keptAt < CLAIM_MS / 5) return;
    if (!(await claimRepair(lane, token, { signal }))) throw new Taken();
    keptAt = performance.now();
  };
}

type Work = RepairDeps & { readonly token: string; readonly keep: (isUrgent?: boolean) => Promise<void> };

const SLOTS_AT_ONCE = 200;

/** Tells the lane how far its schedules had come. Before runs are restored: from then on, no scheduler comes to their slots again. */
async function recallPast({ pool, lane, token, signal }: Work): Promise<void> {
  const slots = await findPastSlots(pool, lane.namespace, lane.queue);
  for (let from = 0; from < slots.length; from += SLOTS_AT_ONCE) {
    const some = slots.slice(from, from + SLOTS_AT_ONCE);
    if ((await recallSlots(lane, { token, slots: some }, { signal })) === undefined) throw new Taken();
  }
}

/** Looks through all that lies in the lane, and takes away what has ended. Gives the runs that were seen. */
async function withdrawEnded(
  work: Work,
): Promise<{ readonly present: ReadonlySet<string>; readonly withdrawnCount: number }> {
  const { pool, lane, token, signal } = work;
  const present = new Set<string>();
  let withdrawnCount = 0;
  for await (const page of readLying(lane)) {
    await work.keep();
    const known = page.filter(({ run }) => isUuid(run));
    for (const { run } of known) present.add(run);
    const ended = new Map(
      (
        await findEnded(
          pool,
          lane.namespace,
          known.map(({ run }) => run),
        )
      ).map((row) => [row.id, row]),
    );
    const stale = known.flatMap((entry) => toStale(entry, ended.get(entry.run)));
    for (let from = 0; from < stale.length; from += WITHDRAWN_AT_ONCE) {
      const entries = stale.slice(from, from + WITHDRAWN_AT_ONCE);
      const count = await withdraw(lane, { token, entries, reason: REASON }, { signal });
      if (count === undefined) throw new Taken();
      withdrawnCount += count;
    }
  }
  return { present, withdrawnCount };
}

// A stranger's entry may have anything for its run; those of ours are uuids.
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
function isUuid(run: string): boolean {
  return UUID.test(run);
}

function toStale(entry: LyingEntry, row: EndedRun | undefined): StaleEntry[] {
  if (row === undefined) return [];
  const ended = { ...entry, task: row.taskName, ending: `run.${row.status}` };
  if (row.status !== "died") return [ended];
  const { errorType: type, errorMessage: message, errorStack, errorCode, errorFingerprint } = row;
  const error = {
    type,
    message,
    stack: errorStack ?? undefined,
    code: errorCode ?? undefined,
    fingerprint: errorFingerprint,
  };
  return [{ ...ended, death: { reason: row.reason ?? "attempts", error: type === null ? "" : JSON.stringify(error) } }];
}

type Restoring = Work & { readonly present: ReadonlySet<string>; readonly moved: MovedRuns };

/** Goes through the rows of runs that have not ended, and appends those that are not in the lane. */
async function restoreLost(work: Restoring): Promise<Pick<Repaired, "restoredCount" | "lostCount">> {
  const { pool, lane, present, moved } = work;
  const { namespace, queue } = lane;
  const told = { restoredCount: 0, lostCount: 0 };
  // The row of a parked key stands still: what it says of its run is old.
  const parked = new Set((await listParked(pool, namespace)).map(({ key }) => key));
  for (let after = FIRST_ID; ; ) {
    await work.keep();
    const rows = await findLiveRuns(pool, { namespace, queue, after, limit: ROWS_AT_ONCE });
    const absent = rows.filter(({ id }) => !present.has(id) && !moved.has(id) && !parked.has(id));
    const { restored, unknownCount } = await restoreRuns(work, absent);
    told.restoredCount += restored;
    told.lostCount += unknownCount;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_AT_ONCE) return told;
    after = last.id;
  }
}

async function restoreRuns(
  { pool, lane, signal, token, moved, keep }: Restoring,
  absent: readonly LiveRun[],
): Promise<{ readonly restored: number; readonly unknownCount: number }> {
  if (absent.length === 0) return { restored: 0, unknownCount: 0 };
  const from = { namespace: lane.namespace, keys: lane.keys, reason: REASON, nowMs: lane.clock.now() };
  const { together, unknownCount } = await readLost(pool, absent, from);
  let restored = 0;
  for (let left: readonly LostTogether[] = together; left.length > 0; ) {
    await keep();
    // First what is remembered, then what was moved: what an origin does after that is seen by the script.
    const origins = await Promise.all(left.map(({ origin }) => rememberedOf(lane, origin)));
    await moved.catchUp();
    const changed: LostTogether[] = [];
    for (const [index, one] of left.entries()) {
      const runs = one.runs.filter(({ run }) => !moved.has(run));
      if (runs.length === 0) continue;
      const outcome = await restore(lane, { token, origin: settled(origins[index] as Origin), runs }, { signal });
      if (outcome === "lost") throw new Taken();
      if (outcome === "changed") changed.push(one);
      else restored += runs.length;
    }
    left = changed;
  }
  return { restored, unknownCount };
}

/** What can no longer be done again needs no guard: a call before later ones at its place, a slot that its schedule has passed. */
function settled(origin: Origin): Origin {
  const { call, remembered, fired } = origin;
  const isPast = call > 0 && Number(/^\d+/.exec(remembered)?.[0] ?? 0) > call;
  const isPassed = fired !== undefined && fired.last !== "" && Number(fired.last) >= fired.slot;
  return { ...origin, call: isPast ? 0 : call, fired: isPassed ? undefined : fired };
}
