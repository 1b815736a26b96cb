import type { Delivery } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";

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
export type Settlement = { readonly delivery: Delivery; readonly events: readonly EventDraft[] } & (
  | { readonly kind: "started"; readonly isStrike?: boolean }
  | {
      readonly kind: "ended";
      readonly result?: { readonly json: string; readonly ttlMs: number } | undefined;
      readonly keyUntil?: number | undefined;
    }
  | { readonly kind: "moved"; readonly move: Move }
  | { readonly kind: "dead"; readonly reason: string; readonly error: string; readonly keyUntil?: number | undefined }
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
  /** True while cancel requests wait in the lane: then those of runs that end are taken away. */
  readonly hasCancelRequests?: boolean;
}

/** Settles entries in one call: all or none. Tried again until it has answered, or the signal is aborted. Throws CallFailed. */
export async function settle(lane: Lane, settleCall: SettleCall, limits: CallLimits = {}): Promise<Settled> {
  const call = await lane.nextCall();
  try {
    const { keys, args, owners } = build(lane, call.number, settleCall);
    const reply = await callScript(lane, { script: "settle", keys, args }, limits);
    return toSettled(reply, owners);
  } finally {
    call.done();
  }
}

interface Built {
  readonly keys: string[];
  readonly args: (string | number)[];
  /** The settlement of each operation, in order. */
  readonly owners: Settlement[];
}

function build(
  lane: Lane,
  call: number,
  { consumer, settlements, notes = [], hasCancelRequests = false }: SettleCall,
): Built {
  const { keys } = lane;
  const events = [...settlements.flatMap((one) => one.events), ...notes];
  const built: Built = {
    keys: [
      keys.tasks,
      keys.again,
      keys.events,
      keys.scheduled,
      keys.scheduledEntries,
      keys.dead,
      keys.strikes,
      keys.cancelled,
      keys.calls(lane.incarnation),
    ],
    args: [consumer, call, lane.header(call, { worker: consumer }), events.length, encodeEvents(events), DEAD_KEPT],
    owners: [],
  };
  const endedToo = new Set(settlements.filter((one) => one.kind !== "started").map((one) => one.delivery));
  for (const one of settlements) {
    if (one.kind === "started" && !one.isStrike && endedToo.has(one.delivery)) continue; // its ending checks the same token
    addOperations(lane, built, one);
    if (hasCancelRequests && (one.kind === "ended" || one.kind === "dead"))
      add(built, one, "c", one.delivery.entry.run);
  }
  return built;
}

function add(built: Built, owner: Settlement, ...operation: (string | number)[]): void {
  built.args.push(...operation);
  built.owners.push(owner);
}

function addOperations(lane: Lane, built: Built, one: Settlement): void {
  const { stream, id, delivery, entry } = one.delivery;
  const token = [stream, id, delivery] as const;
  if (one.kind === "started") return add(built, one, one.isStrike === true ? "s" : "h", ...token);
  if (one.kind === "moved") {
    const { dueAt, attempt, meta, expires } = one.move;
    return add(
      built,
      one,
      "m",
      ...token,
      entry.run,
      Math.ceil(dueAt),
      entry.task,
      attempt,
      entry.key,
      expires,
      meta,
      entry.body,
    );
  }
  if (one.kind === "dead")
    add(
      built,
      one,
      "d",
      ...token,
      entry.run,
      entry.task,
      Number.isFinite(entry.attempt) ? entry.attempt : 0,
      one.reason,
      one.error,
      entry.meta,
      entry.body,
    );
  else add(built, one, "e", ...token);
  if (one.kind === "ended" && one.result !== undefined) {
    built.keys.push(lane.keys.result(entry.run));
    add(built, one, "r", built.keys.length, Math.max(1, one.result.ttlMs), one.result.json);
  }
  if (entry.key.startsWith(`${lane.keys.tag}:key:`)) {
    built.keys.push(entry.key);
    add(built, one, "k", built.keys.length, entry.run, one.keyUntil ?? 0);
  }
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
  return { refused, cancelRequests: Number(reply[2] ?? 0), ledgerId: status === "ok" ? String(reply[3]) : "" };
}
