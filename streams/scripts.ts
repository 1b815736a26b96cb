import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** The scripts, one transition each; every write of ours is one of them. */
export const SCRIPTS = [
  "enqueue",
  "settle",
  "beat",
  "promote",
  "reclaim",
  "recover",
  "fire",
  "declare",
  "schedules",
  "cancel",
  "leave",
] as const;
/** A script's name. */
export type ScriptName = (typeof SCRIPTS)[number];

interface Script {
  readonly source: string;
  readonly sha: string;
}

const scripts = Object.fromEntries(SCRIPTS.map((name) => [name, load(name)])) as Record<ScriptName, Script>;

function load(name: ScriptName): Script {
  const source = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

/** Runs a script by its hash; a server that does not know it (new, flushed, promoted) is sent the text once. */
export async function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const { sha, source } = scripts[name];
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return redis.eval(source, keys.length, ...keys, ...args);
  }
}
