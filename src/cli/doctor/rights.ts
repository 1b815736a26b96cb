import type { Redis } from "ioredis";
import { GROUP, laneKeys } from "../../../streams/keys.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn, fail } = findings("Redis");

/**
 * Every command that workers, schedulers, projectors and dispatches send, by themselves or in a script, with arguments that
 * pass for real ones. `key` stands for a key of the namespace.
 */
export const COMMANDS: readonly (readonly [command: string, ...args: string[]])[] = [
  ["EVAL", "return 1", "0"],
  ["EVALSHA", "0".repeat(40), "0"],
  ["TIME"],
  ["XADD", "key", "NOMKSTREAM", "*", "a", "b"],
  ["XREADGROUP", "GROUP", GROUP, "doctor", "STREAMS", "key", ">"],
  ["XREAD", "STREAMS", "key", "0"],
  ["XACK", "key", GROUP, "0-1"],
  ["XDEL", "key", "0-1"],
  ["XLEN", "key"],
  ["XRANGE", "key", "-", "+"],
  ["XREVRANGE", "key", "+", "-"],
  ["XPENDING", "key", GROUP],
  ["XCLAIM", "key", GROUP, "doctor", "0", "0-1"],
  ["XTRIM", "key", "MINID", "0-1"],
  ["MEMORY", "USAGE", "key"],
  ["XGROUP", "CREATE", "key", GROUP, "0"],
  ["XGROUP", "SETID", "key", GROUP, "0"],
  ["XGROUP", "DELCONSUMER", "key", GROUP, "doctor"],
  ["XINFO", "STREAM", "key"],
  ["XINFO", "GROUPS", "key"],
  ["ZADD", "key", "XX", "1", "a"],
  ["ZREM", "key", "a"],
  ["ZCARD", "key"],
  ["ZRANGE", "key", "0", "1"],
  ["ZSCAN", "key", "0"],
  ["ZRANGEBYSCORE", "key", "0", "1"],
  ["ZSCORE", "key", "a"],
  ["ZMSCORE", "key", "a"],
  ["ZCOUNT", "key", "0", "1"],
  ["ZREMRANGEBYSCORE", "key", "0", "1"],
  ["HSET", "key", "a", "b"],
  ["HSETNX", "key", "a", "b"],
  ["HGET", "key", "a"],
  ["HMGET", "key", "a"],
  ["HGETALL", "key"],
  ["HKEYS", "key"],
  ["HLEN", "key"],
  ["HDEL", "key", "a"],
  ["HINCRBY", "key", "a", "1"],
  ["SET", "key", "a", "XX"],
  ["GET", "key"],
  ["DEL", "key"],
  ["EXISTS", "key"],
  ["PEXPIRE", "key", "1"],
  ["PEXPIREAT", "key", "1"],
  ["SADD", "key", "a"],
  ["SMEMBERS", "key"],
];

/**
 * Which commands the user may not send. They are put into a transaction that is then discarded: Redis checks the rights when
 * a command is queued, and nothing is ever carried out. `redis` is a connection of its own.
 */
export async function checkRights(redis: Redis, namespace: string): Promise<Finding[]> {
  const { meta: key } = laneKeys(namespace, "doctor");
  try {
    await redis.call("MULTI");
  } catch (error) {
    return [
      warn(
        `the rights of the user are unknown: ${(error as Error).message}`,
        "Grant +multi and +discard, or trust the ACL.",
      ),
    ];
  }
  const answers = await Promise.allSettled(
    COMMANDS.map(([command, ...args]) => redis.call(command, ...args.map((arg) => (arg === "key" ? key : arg)))),
  );
  await redis.call("DISCARD").catch(() => {});
  const refusals = answers.map((answer) =>
    answer.status === "rejected" ? String((answer.reason as Error).message) : "",
  );
  return verdict(refusals, key);
}

function verdict(refusals: readonly string[], key: string): Finding[] {
  const denied = refusals.flatMap((text, index) => {
    const [command = "", first = ""] = COMMANDS[index] ?? [];
    return text.startsWith("NOPERM")
      ? [{ text, name: /^X(GROUP|INFO)$/.test(command) ? `${command}|${first}` : command }]
      : [];
  });
  if (denied.length === 0) return [ok(`the user may send all ${COMMANDS.length} commands that are needed`)];
  if (denied.some(({ text }) => text.includes("permissions to access"))) {
    return [
      fail(
        "the user may not use the keys of this namespace",
        `Grant ~${key.slice(0, key.indexOf(":"))}* to the user, or choose another namespace.`,
      ),
    ];
  }
  const rights = denied.map(({ name }) => `+${name.toLowerCase()}`).join(" ");
  return [fail(`the user may not send ${denied.map(({ name }) => name).join(", ")}`, `Grant ${rights} to the user.`)];
}
