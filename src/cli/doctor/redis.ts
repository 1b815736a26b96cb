import type { Redis } from "ioredis";
import { redacted } from "../../server-url.ts";
import { bytesWords, lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn, fail } = findings("Redis");

/** What `INFO` says, by name. */
export type Info = ReadonlyMap<string, string>;

/** The server itself: version, memory, eviction, persistence, role, connections. */
export async function checkRedis(redis: Redis, url: string): Promise<Finding[]> {
  const startedAt = performance.now();
  await redis.ping();
  const tookMs = performance.now() - startedAt;
  const reached = `reachable at ${redacted(url)}, a ping takes ${lengthWords(tookMs)}`;
  const first =
    tookMs < 50 ? ok(reached) : warn(reached, "Every dispatch waits for Redis: put it nearer to what uses it.");
  let info: Info;
  try {
    info = parseInfo(await redis.info());
  } catch {
    return [first, warn("INFO is refused: version, memory and persistence are unknown", "Grant +info to the user.")];
  }
  return [first, ...[version, role, eviction, memory, persistence, connections].flatMap((check) => check(info))];
}

/** Reads the answer of `INFO`. */
export function parseInfo(text: string): Info {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(":"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}

type Check = (info: Info) => readonly Finding[];

const version: Check = (info) => {
  const valkey = info.get("valkey_version");
  const number = valkey ?? info.get("redis_version") ?? "0";
  const name = valkey === undefined ? "Redis" : "Valkey";
  if (Number.parseInt(number, 10) >= 7) return [ok(`${name} ${number}`)];
  return [
    fail(`${name} ${number} is too old`, "Redis 7.0 or Valkey 7.2 is needed at least: the scripts use their commands."),
  ];
};

const role: Check = (info) =>
  info.get("role") === "slave"
    ? [fail("this server is a replica: it refuses every write", "Name the primary in REDIS_URL.")]
    : [];

const eviction: Check = (info) => {
  const policy = info.get("maxmemory_policy");
  if (policy === undefined) return [];
  if (policy === "noeviction") return [ok("nothing is evicted when memory is full (noeviction)")];
  const advice = "Set maxmemory-policy noeviction: Redis would delete runs and history when its memory is full.";
  const what = `maxmemory-policy is ${policy}`;
  return [
    info.get("maxmemory") === "0"
      ? warn(`${what}, as yet without effect, since maxmemory is not set`, advice)
      : fail(what, advice),
  ];
};

const memory: Check = (info) => {
  const [used, limit] = [Number(info.get("used_memory")), Number(info.get("maxmemory"))];
  if (Number.isNaN(used) || Number.isNaN(limit)) return [];
  if (limit === 0) {
    const advice =
      "Set maxmemory to what the machine can spare: without it, the kernel ends Redis when memory is used up.";
    return [warn(`${bytesWords(used)} in use, and no limit is set`, advice)];
  }
  const share = used / limit;
  const what = `${bytesWords(used)} of ${bytesWords(limit)} in use (${Math.round(share * 100)}%)`;
  if (share < 0.8) return [ok(what)];
  const advice = "Raise maxmemory, or see with `tasktrail queues` what takes it: dispatches fail when it is full.";
  return [share < 0.95 ? warn(what, advice) : fail(what, advice)];
};

const persistence: Check = (info) => {
  const isAppending = info.get("aof_enabled") === "1";
  const found: Finding[] = [];
  if (isAppending && info.get("aof_last_write_status") === "err") {
    found.push(
      fail("the append-only file cannot be written", "See to the disk of Redis: what it takes now is not kept."),
    );
  }
  if (info.get("rdb_last_bgsave_status") === "err") {
    found.push(fail("the last snapshot failed, and Redis may refuse writes", "See to the disk and the log of Redis."));
  }
  if (isAppending) return [...found, ok("every write goes to the append-only file: a crash costs a second at most")];
  const savedAt = Number(info.get("rdb_saves") ?? 0) > 0 ? Number(info.get("rdb_last_save_time")) * 1_000 : 0;
  const advice = "Set appendonly yes: a crash of Redis loses every run since the last snapshot.";
  const age =
    savedAt > 0
      ? `; the last snapshot is ${lengthWords(Math.max(0, Date.now() - savedAt))} old`
      : ", and there was no snapshot since it started";
  return [...found, warn(`the append-only file is off${age}`, advice)];
};

const connections: Check = (info) => {
  const [now, most] = [Number(info.get("connected_clients")), Number(info.get("maxclients"))];
  if (!(most > 0)) return [];
  const what = `${now} of ${most} connections in use`;
  return [now / most < 0.8 ? ok(what) : warn(what, "Raise maxclients: a worker that cannot connect does not work.")];
};
