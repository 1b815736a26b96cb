import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** The scripts, one transition each; every write of ours is one of them. */
export const SCRIPTS = [
  "enqueue",
  "relay",
  "publish",
  "settle",
  "beat",
  "promote",
  "reclaim",
  "recover",
  "fire",
  "declare",
  "schedules",
  "backfill",
  "next",
  "cancel",
  "leave",
  "release",
  "receive",
  "open",
  "regress",
  "claim",
  "recall",
  "restore",
  "withdraw",
  "trim",
  "bound",
] as const;
/** A script's name. */
export type ScriptName = (typeof SCRIPTS)[number];

/** A script's text, and the hash by which Redis knows it. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

const scripts = Object.fromEntries(SCRIPTS.map((name) => [name, load(name)])) as Record<ScriptName, Script>;

/** A script's text. A line `--@include NAME` stands for the text of another: scripts cannot call each other. */
function read(name: string): string {
  const text = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
  return text.replace(/^--@include ([\w/]+)$/m, (_, other: string) => read(other));
}

function load(name: ScriptName): Script {
  const source = read(name);
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

/** A script's text and hash, for those who call it without `runScript` (the beat thread). */
export function scriptText(name: ScriptName): Script {
  return scripts[name];
}

/** Runs a script by its hash; a server that does not know it (new, flushed, promoted) is sent the text once. */
export function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const { sha, source } = scripts[name];
  const given = [...keys, ...args] as string[]; // as one array: spread over parameters, a large call would overflow the stack
  const answer = redis.evalsha(sha, keys.length, given);
  const held = heldOf(redis, answer);
  return answer.then(
    (reply) => {
      if (held !== undefined) held.args = [];
      return reply;
    },
    (error: unknown) => {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return redis.eval(source, keys.length, given);
    },
  );
}

/** What ioredis keeps of a command until it is answered. */
interface HeldCommand {
  args: unknown[];
  readonly promise: unknown;
}

/**
 * What the driver keeps of the command that was sent last. It does so in literals, which V8 comes to make in its old heap (ARCHITECTURE.md, "young"):
 * there each would keep the words of its call, and all that these are cut from, alive until the next full collection.
 */
function heldOf(redis: Redis, answer: Promise<unknown>): HeldCommand | undefined {
  const { commandQueue } = redis as unknown as {
    readonly commandQueue?: { peekBack?(): { readonly command?: HeldCommand } | undefined };
  };
  const command = commandQueue?.peekBack?.()?.command;
  return command?.promise === answer ? command : undefined;
}

/** The latest instant that JavaScript's Date knows, in ms. */
const END_OF_TIME = 8_640_000_000_000_000;

/**
 * Milliseconds as a script may be given them: whole, and within what Redis takes for a time. A command that refuses its argument
 * stops a script half-way, and Lua does not roll back. What is not a number becomes 0.
 */
export function wholeMs(ms: number): number {
  return Math.ceil(Math.max(0, Math.min(END_OF_TIME, ms))) || 0;
}
