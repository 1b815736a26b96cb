import type { Redis } from "ioredis";
import { type Delivery, type StreamNumber, toEntry } from "./entry.ts";
import { GROUP, type LaneKeys } from "./keys.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeHeader } from "./ledger.ts";
import { runScript } from "./scripts.ts";

/** Most bytes of input that one reclaim takes over: others may take the rest at the same time. */
const RECLAIM_BYTES = 1_048_576;

/** How a lane stands, as a beat tells it. */
export interface Beat {
  /** False: the lease had lapsed and others may have taken what was held (also at the first beat). */
  readonly wasAlive: boolean;
  readonly nowMs: number;
  /** Entries that the consumer holds, by Redis' count. */
  readonly held: number;
  /** When the next scheduled run is due, in ms; 0: none. */
  readonly nextDueAt: number;
  readonly cancelRequests: number;
  readonly isPaused: boolean;
  readonly incarnation: string;
  /** The format that the lane is written in by now; more than FORMAT: a newer version has taken it over. */
  readonly format: number;
}

/** The keys and arguments of a beat, for those who send it themselves (the beat thread). */
export function beatCall(
  keys: LaneKeys,
  consumer: string,
  leaseMs: number,
): { readonly keys: string[]; readonly args: (string | number)[] } {
  return {
    keys: [keys.workers, keys.meta, keys.tasks, keys.again, keys.scheduled, keys.cancelled],
    args: [consumer, leaseMs],
  };
}

/** Renews a worker's lease. */
export async function beat(
  redis: Redis,
  keys: LaneKeys,
  { consumer, leaseMs }: { readonly consumer: string; readonly leaseMs: number },
): Promise<Beat> {
  const call = beatCall(keys, consumer, leaseMs);
  return toBeat((await runScript(redis, "beat", call.keys, call.args)) as unknown[]);
}

/** Reads a beat's answer. */
export function toBeat(reply: readonly unknown[]): Beat {
  return {
    wasAlive: reply[0] === "renewed",
    nowMs: Number(reply[1]),
    held: Number(reply[2]) + Number(reply[3]),
    nextDueAt: Number(reply[4]),
    cancelRequests: Number(reply[5]),
    isPaused: reply[6] === "1",
    incarnation: String(reply[7]),
    format: Number(reply[8] ?? 0),
  };
}

type RawTaken = [stream: number, id: string, delivery: number, why: string, strikes: number, fields: string[]];

function toDelivery([stream, id, delivery, why, strikes, fields]: RawTaken): Delivery {
  return {
    stream: stream as StreamNumber,
    id,
    delivery,
    entry: toEntry(fields),
    strikes,
    isSuspect: why === "lapsed" || strikes > 0,
  };
}

/** What a worker does in a lane. */
export interface Claimant {
  readonly consumer: string;
  readonly leaseMs: number;
  /** How many entries it has room for. */
  readonly room: number;
}

/** Takes over what lapsed or departed workers hold: about a MiB at a time. `isGrace`: Redis itself was away, and for one lease nothing is taken from anybody but those who left. */
export async function reclaim(
  lane: Lane,
  { consumer, leaseMs, room }: Claimant,
  limits: CallLimits = {},
): Promise<{ readonly isGrace: boolean; readonly taken: Delivery[]; readonly lostCount: number }> {
  const { keys } = lane;
  const reply = await callScript(
    lane,
    {
      script: "reclaim",
      keys: [keys.tasks, keys.again, keys.workers, keys.meta, keys.events, keys.strikes],
      args: () => [consumer, leaseMs, Math.trunc(room), lane.header(0, { worker: consumer }), RECLAIM_BYTES],
    },
    limits,
  );
  return {
    isGrace: reply[0] === "grace",
    taken: (reply[2] as RawTaken[]).map(toDelivery),
    lostCount: Number(reply[3]),
  };
}

/** Looks through a chunk of a stream for entries that were delivered and that nobody holds. `from` is `"0-0"` at first, then the `next` of the call before; that is empty at the end. */
export async function recover(
  lane: Lane,
  claimant: Pick<Claimant, "consumer" | "room"> & {
    readonly stream: StreamNumber;
    readonly from: string;
    readonly chunk: number;
  },
  limits: CallLimits = {},
): Promise<{ readonly next: string; readonly taken: Delivery[] }> {
  const { keys } = lane;
  const { consumer, room, stream, from, chunk } = claimant;
  const reply = await callScript(
    lane,
    {
      script: "recover",
      keys: [streamKey(keys, stream), keys.events, keys.tasks, keys.strikes],
      args: () => [consumer, stream, from, chunk, Math.trunc(room), lane.header(0, { worker: consumer })],
    },
    limits,
  );
  return { next: String(reply[0]), taken: (reply[2] as RawTaken[]).map(toDelivery) };
}

function streamKey(keys: LaneKeys, stream: StreamNumber): string {
  return stream === 1 ? keys.tasks : keys.again;
}

/**
 * Lets go of entries that a worker holds and will not start, while it goes on with others: others take them over at once, in order,
 * with no strike and no attempt used. Those that are no longer its own are passed over. The worker must not settle them any more.
 */
export async function release(
  lane: Lane,
  consumer: string,
  deliveries: readonly Pick<Delivery, "stream" | "id" | "delivery">[],
  limits: CallLimits = {},
): Promise<{ readonly releasedCount: number }> {
  const { tasks, again, workers } = lane.keys;
  const tokens = deliveries.flatMap(({ stream, id, delivery }) => [stream, id, delivery]);
  const call = { script: "release", keys: [tasks, again, workers], args: [consumer, ...tokens] } as const;
  const reply = await callScript(lane, call, limits);
  return { releasedCount: Number(reply[0]) };
}

/** Takes a worker off the lane; its beats must have stopped. `gone`: it held nothing. `leaving`: others take over what it holds, at once and without a strike. */
export async function leave(lane: Lane, consumer: string, limits: CallLimits = {}): Promise<"gone" | "leaving"> {
  const { keys } = lane;
  const reply = await callScript(
    lane,
    {
      script: "leave",
      keys: [keys.workers, keys.tasks, keys.again, keys.events],
      args: () => [consumer, lane.header(0, { worker: consumer })],
    },
    limits,
  );
  return reply[0] as "gone" | "leaving";
}

/** Ids, with their delivery counts, of all that a consumer holds. */
export async function heldBy(
  redis: Redis,
  keys: LaneKeys,
  consumer: string,
): Promise<{ readonly stream: StreamNumber; readonly id: string; readonly delivery: number }[]> {
  const streams = [
    [1, keys.tasks],
    [2, keys.again],
  ] as const;
  const lists = await Promise.all(
    streams.map(async ([stream, key]) => {
      const rows = (await redis.xpending(key, GROUP, "-", "+", 10_000, consumer)) as [string, string, number, number][];
      return rows.map(([id, , , delivery]) => ({ stream, id, delivery }));
    }),
  );
  return lists.flat();
}

/**
 * Gives a consumer an entry that it holds and never received: the reply that brought it was lost. The delivery count goes up by one,
 * which makes the lost delivery void. Undefined when the entry is gone, or no longer held at that delivery.
 */
export async function receiveAgain(
  redis: Redis,
  keys: LaneKeys,
  consumer: string,
  lost: { readonly stream: StreamNumber; readonly id: string; readonly delivery: number },
): Promise<Delivery | undefined> {
  const { stream, id, delivery } = lost;
  // A writer of its own, for a delivery is lost once: so is the batch token of what may be recorded of it.
  const writer = { incarnation: `${consumer}/${stream}/${id}`, call: delivery, clockOffsetMs: 0 };
  const header = encodeHeader(writer, { queue: keys.tag.slice(keys.tag.indexOf(":") + 1, -1) });
  const named = [streamKey(keys, stream), keys.events, keys.strikes];
  const reply = (await runScript(redis, "receive", named, [consumer, stream, id, delivery, header])) as unknown[];
  if (reply[0] !== "received") return undefined;
  const [, , count, strikes, fields] = reply as [string, number, number, number, string[]];
  // At a second delivery it came from a worker that died, most likely: the answer that said so is lost too.
  return { stream, id, delivery: count, entry: toEntry(fields), strikes, isSuspect: delivery > 1 || strikes > 0 };
}

/**
 * Keeps a ledger that nobody archives within about so many bytes: the oldest goes first. In one that is archived, what its projector has said must
 * give gives. Gives how many entries went. Throws CallFailed.
 */
export async function boundLedger(lane: Lane, mostBytes: number, limits: CallLimits = {}): Promise<number> {
  const { events, meta, tasks } = lane.keys;
  const args = () => [Math.trunc(mostBytes), lane.header(0)];
  return Number((await callScript(lane, { script: "bound", keys: [events, meta, tasks], args }, limits))[2]);
}
