import type { Redis } from "ioredis";
import { createUnpacker, type Delivery, type Entry, type StreamNumber } from "./entry.ts";
import { GROUP, type LaneKeys } from "./keys.ts";
import { readAlone } from "./read-alone.ts";
import type { RawStreams } from "./read-reply.ts";

/** What is read of a lane. */
export interface Read {
  readonly consumer: string;
  /** At most so many from each of its two streams. */
  readonly count: number;
  /** How long to wait for one, in ms; 0 does not. */
  readonly blockMs: number;
}

/** Reads entries that were never delivered: first what is due again, then what waits. Of each at most `count`, so that twice as many may come. */
export async function read(redis: Redis, keys: LaneKeys, wanted: Omit<Read, "blockMs">): Promise<Delivery[]> {
  const args = readArgs(keys, { ...wanted, blockMs: 0 }) as string[];
  return toDeliveries(keys, (await redis.call("xreadgroup", ...args)) as RawStreams);
}

/** The same on a connection on which nothing else is under way, and which therefore may wait. */
export async function waitAndRead(redis: Redis, keys: LaneKeys, wanted: Read): Promise<Delivery[]> {
  return toDeliveries(keys, await readAlone(redis, readArgs(keys, wanted)));
}

function readArgs(keys: LaneKeys, { consumer, count, blockMs }: Read): (string | number)[] {
  const blocking = blockMs > 0 ? ["BLOCK", blockMs] : [];
  return ["GROUP", GROUP, consumer, "COUNT", count, ...blocking, "STREAMS", keys.again, keys.tasks, ">", ">"];
}

function toDeliveries(keys: LaneKeys, streams: RawStreams): Delivery[] {
  const deliveries: Delivery[] = [];
  const unpack = createUnpacker();
  for (const [key, entries] of streams ?? []) {
    const stream: StreamNumber = key === keys.again ? 2 : 1;
    for (const [id, fields] of entries) deliveries.push(new FirstDelivery(stream, id, unpack(fields ?? [])));
  }
  return deliveries;
}

/** Of a class: see UnpackedEntry. */
class FirstDelivery implements Delivery {
  declare readonly stream: StreamNumber;
  declare readonly id: string;
  declare readonly entry: Entry;
  readonly delivery = 1;
  readonly strikes = 0;
  readonly isSuspect = false;

  constructor(stream: StreamNumber, id: string, entry: Entry) {
    this.stream = stream;
    this.id = id;
    this.entry = entry;
  }
}
