import { setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import { refusal } from "../../streams/connect.ts";
import type { Lane } from "../../streams/lane.ts";
import type { Durability } from "../define/broker.ts";
import type { Connection } from "./connection.ts";

/** A level that Redis itself has to vouch for. */
export type VouchedDurability = Exclude<Durability, "async">;

/** The longest that one WAIT holds up what else is asked on its connection, in ms. */
const STEP_MS = 250;
/** How long the number of the last call is kept, in ms: what the script sets, too. */
const CALLS_TTL_MS = 7_200_000;

/** Redis has a dispatch, and has not vouched for it in time. */
export class Unconfirmed extends Error {
  constructor(cause: unknown) {
    super(`Redis has not confirmed it: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "Unconfirmed";
  }
}

/** Why this server cannot give what is asked for, in words; undefined when it can. Changes nothing. */
export async function whyNot(redis: Redis, level: VouchedDurability): Promise<string | undefined> {
  if (level === "fsynced") {
    const said = await redis.call("WAITAOF", "1", "0", "1").then(
      () => "",
      (error: Error) => {
        if (refusal(error) === "away") throw error;
        return error.message;
      },
    );
    if (/unknown command/i.test(said)) return "this Redis has no WAITAOF: it takes Redis 7.2 or newer";
    if (/appendonly/i.test(said)) return "this Redis keeps no append-only file: set appendonly yes";
    return said === "" ? undefined : said;
  }
  const info = await redis.info("replication").catch((error: unknown) => {
    if (refusal(error) === "away") throw error;
    return ""; // an ACL may forbid it: then WAIT alone tells
  });
  const replicas = /^connected_slaves:(\d+)/m.exec(info)?.[1];
  return replicas === "0" ? "this Redis has no replica connected" : undefined;
}

/** What vouching works with. */
export interface ConfirmParts {
  readonly lane: Lane;
  readonly level: VouchedDurability;
  readonly connection: Connection;
}

/**
 * Makes what waits until Redis vouches for all that this connection was told of before. Those who ask in one tick share one question.
 * To be called in the very turn in which the dispatch was answered. Throws Unconfirmed at the deadline (on `performance.now()`).
 */
export function createConfirm({ lane, level, connection }: ConfirmParts): (deadline: number) => Promise<void> {
  let gathering: { readonly done: Promise<void>; until: number } | undefined;
  const ask = async (mine: { until: number }) => {
    const { stream } = lane.redis;
    await nextTurn(); // those who were answered together
    gathering = undefined;
    connection.hold();
    try {
      if (lane.redis.stream !== stream) throw new Unconfirmed(new Error("the connection is another one"));
      await vouched(lane, level, mine.until);
    } finally {
      connection.release();
    }
  };
  return (deadline) => {
    if (gathering !== undefined) {
      gathering.until = Math.min(gathering.until, deadline);
      return gathering.done;
    }
    const mine = { until: deadline };
    const done = ask(mine);
    gathering = Object.assign(mine, { done });
    return done;
  };
}

/**
 * Asks in short steps, so that others on the connection are not held up for long. Each step begins with a write of its own: what is
 * waited for is the connection's last write, and a dispatch that was there already, under its key or its number, has written nothing.
 * Nothing is asked again on another connection: another server may have answered there, one that never had the run.
 */
async function vouched({ redis, keys, incarnation }: Lane, level: VouchedDurability, deadline: number): Promise<void> {
  let cause: unknown = new Error(level === "replicated" ? "no replica has it" : "it is not on disk");
  const { stream } = redis;
  try {
    while (redis.stream === stream && performance.now() < deadline) {
      const stepMs = String(Math.max(1, Math.ceil(Math.min(STEP_MS, deadline - performance.now()))));
      const touched = redis.pexpire(keys.calls(incarnation), CALLS_TTL_MS);
      const waited = level === "replicated" ? redis.call("WAIT", "1", stepMs) : redis.call("WAITAOF", "1", "0", stepMs);
      const [, answer] = await inTime(Promise.all([touched, waited]), deadline);
      if (Number([answer].flat()[0]) >= 1) return;
    }
  } catch (error) {
    cause = error;
  }
  throw new Unconfirmed(cause);
}

async function inTime<T>(answer: Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, deadline - performance.now() + STEP_MS, new Error("Command timed out"));
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
