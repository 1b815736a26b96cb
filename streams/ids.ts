import { createHash, randomFillSync } from "node:crypto";

/** Twelve bits of a queue's name: what a run id carries of its lane. */
export function laneHash(queue: string): number {
  const digest = createHash("sha1").update(queue).digest();
  return digest.readUInt16BE(0) & 0xfff;
}

/** Makes run ids for one lane. */
export type RunIds = (nowMs: number) => string;

const POOL_WORDS = 2048;
/** Three hexadecimal digits each: an id is put together from few pieces, since each sum of two is an object of its own. */
const digits = Array.from({ length: 4096 }, (_, word) => word.toString(16).padStart(3, "0"));
const variants = ["8", "9", "a", "b"] as const;

/**
 * Run ids of one lane: UUIDv7 (RFC 9562, section 5.7) with the lane's hash in `rand_a`, so that an id leads to its lane.
 * Random bytes are drawn for a thousand ids at a time: one draw per id was a sixth of the cost of a dispatch.
 */
export function createRunIds(queue: string): RunIds {
  const lane = laneHash(queue);
  const middle = `-7${lane.toString(16).padStart(3, "0")}-`;
  const pool = new Uint32Array(POOL_WORDS);
  let used = POOL_WORDS;
  let stampMs = -1;
  let stamp = "";
  return (nowMs) => {
    if (used === POOL_WORDS) {
      randomFillSync(pool);
      used = 0;
    }
    if (nowMs !== stampMs) {
      const time = Math.trunc(nowMs).toString(16).padStart(12, "0");
      stamp = `${time.slice(0, 8)}-${time.slice(8)}${middle}`;
      stampMs = nowMs;
    }
    const a = pool[used] as number;
    const b = pool[used + 1] as number;
    used += 2;
    const head = `${variants[a & 3]}${digits[(a >>> 2) & 0xfff]}-`;
    const tail = `${digits[(a >>> 14) & 0xfff]}${digits[b & 0xfff]}`;
    const end = `${digits[(b >>> 12) & 0xfff]}${digits[((a >>> 26) << 6) | ((b >>> 24) & 0x3f)]}`;
    return stamp + head + (tail + end);
  };
}

/** Names a slot of a schedule: what a cron run's id is made of. */
export interface SlotName {
  readonly namespace: string;
  readonly queue: string;
  readonly schedule: string;
  readonly slotMs: number;
  /** 0 for the slot itself; more for a backfill that was asked to run it again. */
  readonly rerun: number;
}

/** The id of a cron run: UUIDv5 (RFC 9562, section 5.5), the same on every machine, so that a slot cannot become two runs. */
export function cronRunId(slot: SlotName): string {
  const name = [slot.namespace, slot.queue, slot.schedule, slot.slotMs, slot.rerun].join("\n");
  return uuid5(CRON_NAMESPACE, name);
}

/** An id made of other ids, the same wherever it is made. */
export function derivedId(...parts: readonly string[]): string {
  return uuid5(CRON_NAMESPACE, parts.join("\n"));
}

const CRON_NAMESPACE = Buffer.from("5f1d36a1a2f84c0f9d55a4e5b2c0d7e1", "hex");

function uuid5(namespace: Uint8Array, name: string): string {
  const digest = createHash("sha1").update(namespace).update(name).digest();
  digest[6] = ((digest[6] as number) & 0x0f) | 0x50;
  digest[8] = ((digest[8] as number) & 0x3f) | 0x80;
  const text = digest.toString("hex");
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20, 32)}`;
}

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-[57][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** True for what may be a run's id. */
export function isRunId(text: string): boolean {
  return shape.test(text);
}

/** When a run was dispatched, as its id tells, in ms; undefined for cron runs, whose ids carry no time. */
export function runIdTime(id: string): number | undefined {
  return id[14] === "7" ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

/** The hash of the lane that a run belongs to; undefined for cron runs. */
export function runIdLane(id: string): number | undefined {
  return id[14] === "7" ? Number.parseInt(id.slice(15, 18), 16) : undefined;
}
