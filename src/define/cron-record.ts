import { DEFAULTS } from "../defaults.ts";
import { invalidOption } from "../errors.ts";
import type { CronPolicies } from "./cron.ts";
import { durationMs, secondsMs } from "./duration.ts";
import { instantMs, oneOf, wholeNumber } from "./options.ts";
import { readPattern } from "./pattern.ts";
import type { CronRecord } from "./task.ts";

/** The names of what a cron has beside a task's policies. */
export const CRON_KEYS = [
  "lockTtl",
  "timezone",
  "overlap",
  "misfire",
  "catchUp",
  "jitter",
  "startsAt",
  "endsAt",
  "maxRuns",
] as const satisfies readonly (keyof CronPolicies)[];

/** A cron's expression and policies, checked, in milliseconds, with the defaults in. Throws InvalidOption. */
export function cronRecord(expression: unknown, given: CronPolicies): CronRecord {
  const pattern = readPattern(expression, given.timezone ?? DEFAULTS.timezone);
  const { lockTtl, catchUp, jitter, startsAt, endsAt, maxRuns } = given;
  const lockTtlMs = lockTtl === undefined ? DEFAULTS.lockTtlMs : secondsMs(lockTtl, "lockTtl");
  if (lockTtlMs === 0)
    throw invalidOption("lockTtl", 'a lock of no length locks nothing: to have none, write overlap: "allow"');
  const startsAtMs = startsAt === undefined ? undefined : instantMs("startsAt", startsAt);
  const endsAtMs = endsAt === undefined ? undefined : instantMs("endsAt", endsAt);
  if (startsAtMs !== undefined && endsAtMs !== undefined && endsAtMs < startsAtMs) {
    throw invalidOption("endsAt", "lies before startsAt");
  }
  return Object.freeze({
    ...pattern,
    lockTtlMs,
    overlap: oneOf("overlap", given.overlap ?? DEFAULTS.overlap, ["skip", "allow", "queue_one", "cancel_other"]),
    misfire: oneOf("misfire", given.misfire ?? DEFAULTS.misfire, ["skip", "fire_once", "fire_all"]),
    catchUpMs: catchUp === undefined ? DEFAULTS.catchUpMs : durationMs(catchUp, "catchUp"),
    jitterMs: jitter === undefined ? 0 : durationMs(jitter, "jitter"),
    startsAtMs,
    endsAtMs,
    maxRuns: maxRuns === undefined ? undefined : wholeNumber("maxRuns", maxRuns, { least: 1, most: 1e9 }),
  });
}
