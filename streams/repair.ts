import { randomBytes } from "node:crypto";
import { packEntry } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { CALLS_IN_FLIGHT, type CallLimits, callScript, type Lane } from "./lane.ts";
import { wholeMs } from "./scripts.ts";
import { DEAD_KEPT } from "./settle.ts";

/** Gives a lane whose history has diverged another incarnation, with an event about it. */
export interface Regression {
  /** As the caller knows it. */
  readonly incarnation: string;
  /** The same when the archive has not seen it yet. */
  readonly next: string;
  readonly event: EventDraft<"lane.regressed">;
}

/** Says that a lane has regressed: once, however many notice it. False: its incarnation is another one by now. Throws CallFailed. */
export async function regress(
  lane: Lane,
  { incarnation, next, event }: Regression,
  limits: CallLimits,
): Promise<boolean> {
  const { meta, events, tasks } = lane.keys;
  const args = () => [incarnation, next, lane.header(0), JSON.stringify({ ...event, at: nowOf(lane) })];
  const reply = await callScript(lane, { script: "regress", keys: [meta, events, tasks], args }, limits);
  return reply[0] !== "changed" || reply[2] === next;
}

/** How long a claim to a repair holds unless it is kept, in ms. */
export const CLAIM_MS = 15_000;

/** Claims the repair of a lane, or keeps the claim. False: another has it. Throws CallFailed. */
export async function claimRepair(lane: Lane, token: string, limits: CallLimits): Promise<boolean> {
  const { meta, events, tasks } = lane.keys;
  const call = { script: "claim", keys: [meta, events, tasks], args: [token, CLAIM_MS] } as const;
  return (await callScript(lane, call, limits))[0] === "ours";
}

/** Ends a repair, with an event. False: another has taken it over, or it was told before. Throws CallFailed. */
export async function endRepair(
  lane: Lane,
  { token, event }: { readonly token: string; readonly event: EventDraft<"lane.repaired"> },
  limits: CallLimits,
): Promise<boolean> {
  const { meta, events, tasks } = lane.keys;
  const args = () => [token, 0, lane.header(0), JSON.stringify({ ...event, at: nowOf(lane) })];
  return (await callScript(lane, { script: "claim", keys: [meta, events, tasks], args }, limits))[0] === "ours";
}

/** Gives a claim up with work left, so that nobody has to wait until it lapses. Nothing when another has it. Throws CallFailed. */
export async function releaseRepair(lane: Lane, token: string, limits: CallLimits): Promise<void> {
  const { meta, events, tasks } = lane.keys;
  await callScript(lane, { script: "claim", keys: [meta, events, tasks], args: [token, 0] }, limits);
}

/** A run as it is to lie in its lane again. */
export interface LostRun {
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  /** In ms; 0: no matter when. */
  readonly expires: number;
  readonly meta: string;
  readonly body: string;
  /** In ms; 0: now. */
  readonly dueAt: number;
  readonly key: { readonly name: string; readonly ttlMs: number } | undefined;
  /** When its cancel was asked for, in ms; 0: it was not. */
  readonly cancelAt: number;
  readonly reason: string;
}

/** What made runs: one call of a producer, or one firing of a schedule, with what the lane remembers of it. */
export interface Origin {
  /** The producer's incarnation. */
  readonly writer: string;
  /** 0 or less: a call without a number. */
  readonly call: number;
  /** What the lane remembers at the call's place; empty: nothing. */
  readonly remembered: string;
  /** The schedule's last slot, as the lane knows it. */
  readonly fired?: { readonly schedule: string; readonly slot: number; readonly last: string } | undefined;
}

/** What a lane remembers of the calls of producers and the slots of schedules, asked for before anything is restored. Reads only. */
export async function rememberedOf(lane: Lane, origin: Omit<Origin, "remembered">): Promise<Origin> {
  const { redis, keys } = lane;
  const [remembered, last] = await Promise.all([
    origin.call > 0 ? redis.hget(keys.calls(origin.writer), String(origin.call % CALLS_IN_FLIGHT)) : null,
    origin.fired === undefined ? null : redis.hget(keys.cron, `last:${origin.fired.schedule}`),
  ]);
  const { fired } = origin;
  return {
    ...origin,
    remembered: remembered ?? "",
    ...(fired === undefined ? {} : { fired: { ...fired, last: last ?? "" } }),
  };
}

/**
 * Appends lost runs of one origin again: all or none. `changed`: the origin has done something since it was looked at, so that its runs
 * may be here. `lost`: another projector repairs the lane. Throws CallFailed.
 */
export async function restore(
  lane: Lane,
  { token, origin, runs }: { readonly token: string; readonly origin: Origin; readonly runs: readonly LostRun[] },
  limits: CallLimits,
): Promise<"restored" | "changed" | "lost"> {
  const { keys } = lane;
  const { writer, call, remembered, fired } = origin;
  const named = [keys.meta, keys.tasks, keys.events, keys.scheduled, keys.scheduledEntries, keys.cancelled];
  named.push(keys.calls(writer), keys.cron);
  const fixed = named.length;
  const at = nowOf(lane);
  const records: (string | number)[] = [];
  for (const one of runs) {
    const { dueAt, key, cancelAt } = one;
    if (key !== undefined) named.push(key.name);
    const entry = packEntry({ ...one, key: key?.name ?? "" });
    records.push(entry, wholeMs(dueAt), key === undefined ? 0 : named.length - fixed);
    records.push(Math.max(1, wholeMs(key?.ttlMs ?? 0)), wholeMs(cancelAt), JSON.stringify(restoredEvent(one, at)));
  }
  const head = [call, remembered, fired?.schedule ?? "", fired?.last ?? "", fired?.slot ?? 0];
  const name = `${token} ${randomBytes(6).toString("hex")}`;
  const args = () => [name, lane.header(0), ...head, ...records];
  const reply = await callScript(lane, { script: "restore", keys: named, args }, limits);
  return reply[0] as "restored" | "changed" | "lost";
}

function restoredEvent({ run, task, attempt, dueAt, reason }: LostRun, at: number): EventDraft<"run.restored"> {
  return { type: "run.restored", run, task, attempt, ...(dueAt === 0 ? {} : { dueAt }), reason, at };
}

/** How far a schedule had come, by the archive. Slots in ms. */
export interface PastSlots {
  readonly schedule: string;
  /** The last slot that was acted on: fired, skipped or missed. */
  readonly last: number;
  /** The last one that made a run. */
  readonly fired: number | undefined;
  readonly firedCount: number;
}

/** Moves schedules that the lane has on to where the archive knows that they had come. Never back. Undefined: another projector repairs the lane. Throws CallFailed. */
export async function recallSlots(
  lane: Lane,
  { token, slots }: { readonly token: string; readonly slots: readonly PastSlots[] },
  limits: CallLimits,
): Promise<number | undefined> {
  const { meta, cron, tasks } = lane.keys;
  const args = slots.flatMap(({ schedule, last, fired, firedCount }) => [schedule, last, fired ?? "", firedCount]);
  const reply = await callScript(lane, { script: "recall", keys: [meta, cron, tasks], args: [token, ...args] }, limits);
  return reply[0] === "lost" ? undefined : Number(reply[2]);
}

/** An entry of a run whose ending is archived. */
export interface StaleEntry {
  readonly where: "tasks" | "again" | "scheduled";
  /** Empty for a scheduled one. */
  readonly id: string;
  readonly run: string;
  readonly task: string;
  /** Its ending: `run.succeeded`. */
  readonly ending: string;
  /** Why it died, with its error as JSON, for the lane's list of the dead. */
  readonly death?: { readonly reason: string; readonly error: string } | undefined;
}

const PLACES = { scheduled: 0, tasks: 2, again: 3 } as const;

/** Takes away entries whose runs have ended. Those that are gone by now are passed over. Undefined: another projector repairs the lane. Throws CallFailed. */
export async function withdraw(
  lane: Lane,
  {
    token,
    entries,
    reason,
  }: { readonly token: string; readonly entries: readonly StaleEntry[]; readonly reason: string },
  limits: CallLimits,
): Promise<number | undefined> {
  const { meta, tasks, again, events, scheduled, scheduledEntries, strikes, cancelled, dead } = lane.keys;
  const at = nowOf(lane);
  const operations = entries.flatMap(({ where, id, run, task, ending, death }) => {
    const event: EventDraft<"run.withdrawn"> = { type: "run.withdrawn", run, task, ending, reason, at };
    return [PLACES[where], id, run, death?.reason ?? "", death?.error ?? "", JSON.stringify(event)];
  });
  const args = () => [token, lane.header(0), DEAD_KEPT, ...operations];
  const keys = [meta, tasks, again, events, scheduled, scheduledEntries, strikes, cancelled, dead];
  const reply = await callScript(lane, { script: "withdraw", keys, args }, limits);
  return reply[0] === "lost" ? undefined : Number(reply[2]);
}

function nowOf(lane: Lane): number {
  return Math.trunc(lane.clock.now());
}
