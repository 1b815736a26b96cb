import type { Redis } from "ioredis";
import { GROUP, type LaneKeys } from "../../streams/keys.ts";
import { invalidOption } from "../errors.ts";

/** Every command that a worker's loops and scripts send, with arguments that pass for real ones; `$` is a key of the lane. A test holds it to the scripts. */
export const WORKER_COMMANDS: readonly string[] = [
  ...["EVAL return(0) 0", `EVALSHA ${"0".repeat(40)} 0`, "TIME"],
  ...["XADD $ NOMKSTREAM * a b", `XREADGROUP GROUP ${GROUP} a STREAMS $ >`, `XACK $ ${GROUP} 0-1`, "XDEL $ 0-1"],
  ...["XLEN $", "XRANGE $ - +", "XREVRANGE $ + -", `XPENDING $ ${GROUP}`, `XCLAIM $ ${GROUP} a 0 0-1`],
  ...[`XGROUP CREATE $ ${GROUP} 0`, `XGROUP DELCONSUMER $ ${GROUP} a`, "XINFO STREAM $", "XINFO GROUPS $"],
  ...["ZADD $ XX 1 a", "ZREM $ a", "ZCARD $", "ZCOUNT $ 0 1", "ZRANGE $ 0 1", "ZRANGEBYSCORE $ 0 1"],
  ...["ZREMRANGEBYSCORE $ 0 1", "ZSCORE $ a", "ZMSCORE $ a"],
  ...["HGET $ a", "HMGET $ a", "HSET $ a b", "HSETNX $ a b", "HDEL $ a", "HINCRBY $ a 1"],
  ...["GET $", "SET $ a XX", "DEL $", "EXISTS $", "PEXPIRE $ 1", "PEXPIREAT $ 1", "SADD $ a"],
  ...["MEMORY USAGE $", "XTRIM $ MAXLEN 0"],
];

/**
 * Asks Redis whether this user may do all of it, before anything is taken that could then not be recorded. The commands are put into
 * a transaction that cannot be carried out, since one of them is malformed: Redis checks the rights as each is queued.
 * The connection must be nobody else's meanwhile. Without the right to MULTI, and on a cluster, nothing is asked.
 * Throws InvalidOption, which names what is missing.
 */
export async function checkRights(redis: Redis, { meta: key }: LaneKeys): Promise<void> {
  if (redis.isCluster) return;
  const begun = await redis.call("MULTI").catch((error: Error) => {
    if (error.message.startsWith("NOPERM")) return undefined;
    throw error;
  });
  if (begun === undefined) return;
  const queued = WORKER_COMMANDS.map((text) => text.split(" ").map((word) => (word === "$" ? key : word)));
  const answers = await Promise.allSettled(
    [...queued, ["XLEN"], ["EXEC"]].map(([command = "", ...args]) => redis.call(command, ...args)),
  );
  const said = answers.map((answer) => (answer.status === "rejected" ? String(answer.reason?.message) : ""));
  if (!said.at(-1)?.startsWith("EXECABORT")) throw new Error(said.at(-1) || "Connection is closed");
  const refused = queued.filter((_, index) => said[index]?.startsWith("NOPERM")).map(nameOf);
  if (refused.length === 0) return;
  const isOfKeys = said.some((text) => text.includes("permissions to access"));
  const what = isOfKeys
    ? `use keys that begin with ${key.slice(0, key.indexOf("}") + 1)}`
    : `send ${refused.join(", ")}: grant ${refused.map((name) => `+${name.toLowerCase()}`).join(" ")}`;
  throw invalidOption("redis", `Redis lets this user in, but not do all that a worker does. It may not ${what}`);
}

function nameOf([command = "", first]: readonly string[]): string {
  return ["XGROUP", "XINFO", "MEMORY"].includes(command) ? `${command}|${first}` : command;
}
