import { type Delivery, ENTRY_VERSION, packEntry, type StreamNumber } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import type { LaneKeys } from "./keys.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { compareIds } from "./ledger.ts";
import { commonOf, type Plain, writeAny, writePlain } from "./plain-events.ts";
import { wholeMs } from "./scripts.ts";

/** Dead entries that a lane keeps, about. The oldest go first; with Postgres they stay in the archive. */
export const DEAD_KEPT = 10_000;

/** Where a run goes that is tried again, or deferred. */
export interface Move {
  readonly dueAt: number;
  readonly attempt: number;
  readonly meta: string;
  readonly expires: number;
}

/** What is asked of one entry. */
export type Settlement = {
  readonly delivery: Delivery;
  readonly events: readonly EventDraft[];
  /** True when it is a `Plain`: its events are written without being made. */
  readonly isPlain?: boolean | undefined;
  /** Of a run that has had an overlap lock: for how long that may last, in ms. For so long its ending leaves a note, for whoever meets the lock. */
  readonly lockLeftMs?: number | undefined;
} & (
  | { readonly kind: "started"; readonly isStrike?: boolean }
  | {
      readonly kind: "ended";
      readonly result?: { readonly json: string; readonly ttlMs: number } | undefined;
      readonly keyUntil?: number | undefined;
    }
  | { readonly kind: "moved"; readonly move: Move }
  | {
      readonly kind: "dead";
      readonly reason: string;
      readonly error: string;
      readonly keyUntil?: number | undefined;
      /** What is kept with it. Default: what travelled with its entry. */
      readonly meta?: string | undefined;
    }
);

/** Why an entry's settlement was refused. `fenced`: it is no longer this worker's, or not at this delivery. */
export type RefusedWhy = "fenced" | "cancelled";

/** What became of a settle call. Refused: nothing of it was done; the caller leaves these out and calls again. */
export interface Settled {
  readonly refused: ReadonlyMap<Settlement, RefusedWhy>;
  /** Cancel requests that wait in the lane. */
  readonly cancelRequests: number;
  readonly ledgerId: string;
}

/** The parts of a settle call. */
export interface SettleCall {
  readonly consumer: string;
  readonly settlements: readonly Settlement[];
  /** Notes that go with it, such as `run.fenced` of those that were refused before. */
  readonly notes?: readonly EventDraft[];
}

/** Settles entries in one call: all or none. Tried again until it has answered, or the signal is aborted. Throws CallFailed. */
export async function settle(lane: Lane, settleCall: SettleCall, limits: CallLimits = {}): Promise<Settled> {
  const call = await lane.nextCall();
  try {
    const { keys, args, owners } = build(lane, call.number, settleCall);
    return toSettled(await callScript(lane, { script: "settle", keys, args }, limits), owners);
  } finally {
    call.done();
  }
}

interface Built {
  readonly keys: string[];
  /** Starts and endings that need no more than a word or two each. */
  readonly held: Settlement[];
  readonly ended: Settlement[];
  readonly operations: (string | number)[];
  /** The settlement of each operation, in order. */
  readonly owners: Settlement[];
}

function build(
  lane: Lane,
  call: number,
  { consumer, settlements, notes = [] }: SettleCall,
): { keys: string[]; args: (string | number)[]; owners: Settlement[] } {
  const plainOnes = settlements.filter(isToldPlainly);
  const others = plainOnes.length === settlements.length ? notes : settlements.filter(isToldInFull).flatMap(eventsOf);
  const events = others === notes ? notes : [...others, ...notes];
  const common = commonOf(plainOnes, events);
  const built: Built = { keys: fixedKeys(lane), held: [], ended: [], operations: [], owners: [] };
  const { endedToo, hasStrike } = survey(settlements);
  const ranges: IdRanges = { 1: ["", ""], 2: ["", ""] };
  let json = "";
  for (const one of settlements) {
    json = joined(json, isToldPlainly(one) ? writePlain(one, common) : writeAny(one.events, common));
    if (one.kind === "started" && one.isStrike !== true && endedToo?.has(one.delivery)) continue; // its ending checks the same token
    widen(ranges[one.delivery.stream], one.delivery.id);
    if (hasStrike || !isPlain(one)) addOperations(lane.keys, built, one);
    else (one.kind === "started" ? built.held : built.ended).push(one);
  }
  json = joined(json, writeAny(notes, common));
  const { keys, held, ended, operations, owners } = built;
  const header = lane.header(call, { worker: consumer, ...common });
  const batch = [
    consumer,
    call,
    header,
    events.length + eventCount(plainOnes),
    `[${json}]`,
    DEAD_KEPT,
    ...ranges[1],
    ...ranges[2],
  ];
  const args = batch.concat(wordsOf(held, ended), operations);
  return { keys, args, owners: held.concat(ended, owners) };
}

function isToldPlainly(one: Settlement): one is Settlement & Plain {
  return one.isPlain === true;
}

function isToldInFull(one: Settlement): boolean {
  return one.isPlain !== true;
}

function eventsOf({ events }: Settlement): readonly EventDraft[] {
  return events;
}

function eventCount(plain: readonly Plain[]): number {
  let count = plain.length;
  for (const one of plain) if (one.kind === "ended" && one.start !== undefined) count += 1;
  return count;
}

function joined(before: string, more: string): string {
  if (before === "" || more === "") return before + more;
  return `${before},${more}`;
}

/** What has to be known of all before one is written. */
function survey(settlements: readonly Settlement[]): { endedToo: Set<Delivery> | undefined; hasStrike: boolean } {
  const starts = settlements.filter((one) => one.kind === "started");
  if (starts.length === 0) return { endedToo: undefined, hasStrike: false };
  const others = settlements.filter((one) => one.kind !== "started");
  return {
    endedToo: new Set(others.map((one) => one.delivery)),
    hasStrike: starts.some((one) => one.isStrike === true),
  };
}

/** True for what nearly all are: the start or the ending of a first delivery, with no result to keep and no key to let go. Arguments are the largest cost of a script, so that these share one. */
function isPlain(one: Settlement): boolean {
  const { stream, delivery, entry } = one.delivery;
  if (stream !== 1 || delivery !== 1) return false;
  if (one.kind === "started") return true;
  return one.kind === "ended" && one.result === undefined && entry.key === "" && one.lockLeftMs === undefined;
}

/** Those that are held, those that end, and the runs of the latter. */
function wordsOf(held: readonly Settlement[], ended: readonly Settlement[]): string[] {
  return [held.map(idOf).join(" "), ended.map(idOf).join(" "), ended.map(runOf).join("\0")];
}

function idOf({ delivery }: Settlement): string {
  return delivery.id;
}

function runOf({ delivery }: Settlement): string {
  return delivery.entry.run;
}

function fixedKeys({ keys, incarnation }: Lane): string[] {
  const { tasks, again, events, scheduled, scheduledEntries, dead, strikes, cancelled } = keys;
  return [tasks, again, events, scheduled, scheduledEntries, dead, strikes, cancelled, keys.calls(incarnation)];
}

/** The lowest and the highest id of a call, by stream; empty when it has none there. */
type IdRanges = Record<StreamNumber, [lowest: string, highest: string]>;

function widen(range: [string, string], id: string): void {
  if (range[0] === "") range[0] = range[1] = id;
  else if (compareIds(id, range[1]) > 0)
    range[1] = id; // as a rule, since they come in order
  else if (compareIds(id, range[0]) < 0) range[0] = id;
}

function addOperations(keys: LaneKeys, built: Built, one: Settlement): void {
  const add = (...operation: (string | number)[]) => {
    built.operations.push(...operation);
    built.owners.push(one);
  };
  const { stream, id, delivery, entry } = one.delivery;
  const token = [stream, id, delivery] as const;
  if (one.kind === "started") {
    add(one.isStrike === true ? "s" : "h", ...token);
    return;
  }
  if (one.kind === "moved") {
    const { dueAt, attempt, meta, expires } = one.move;
    const moved = packEntry({ ...entry, v: entry.v || ENTRY_VERSION, attempt: whole(attempt), expires, meta });
    add("m", ...token, entry.run, wholeMs(dueAt), moved);
    return;
  }
  const { run, task, meta, body } = entry;
  if (one.kind === "ended") add("e", ...token, run);
  else add("d", ...token, run, task, whole(entry.attempt), one.reason, one.error, one.meta ?? meta, body);
  if (one.kind === "ended" && one.result !== undefined) {
    built.keys.push(keys.result(run));
    add("r", built.keys.length, Math.max(1, wholeMs(one.result.ttlMs)), one.result.json);
  }
  if (one.lockLeftMs !== undefined) {
    built.keys.push(keys.ended(run));
    add("r", built.keys.length, Math.max(1, wholeMs(one.lockLeftMs)), "1");
  }
  if (entry.key.startsWith(keys.key("", "").slice(0, -1))) {
    built.keys.push(entry.key);
    add("k", built.keys.length, run, wholeMs(one.keyUntil ?? 0));
  }
}

/** An attempt as Lua may print it. A malformed entry may have anything there. */
function whole(attempt: number): number {
  return Number.isSafeInteger(attempt) && attempt >= 0 ? attempt : 0;
}

function toSettled(reply: readonly unknown[], owners: readonly Settlement[]): Settled {
  const status = String(reply[0]);
  if (status === "stale")
    throw new Error("a settle call came after sixteen later ones of this process: its fate is unknown");
  const refused = new Map<Settlement, RefusedWhy>();
  if (status === "refused") {
    const words = String(reply[3]).split(" ");
    for (let i = 0; i + 1 < words.length; i += 2)
      refused.set(owners[Number(words[i])] as Settlement, words[i + 1] as RefusedWhy);
  }
  return { refused, cancelRequests: Number(reply[2] ?? 0), ledgerId: status === "refused" ? "" : String(reply[3]) };
}
