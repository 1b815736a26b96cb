import type { Environment } from "../../config.ts";
import { nearest } from "../../define/spelling.ts";
import { type Finding, findings } from "./finding.ts";

/** Every variable of ours that anything reads. */
export const VARIABLES: readonly string[] = [
  "TASKTRAIL_NAMESPACE",
  "TASKTRAIL_QUEUES",
  "TASKTRAIL_LOCKS",
  "TASKTRAIL_CONCURRENCY",
  "TASKTRAIL_HEALTH_PORT",
  "TASKTRAIL_DATA",
  "TASKTRAIL_REDIS_SERVER",
  "TASKTRAIL_TEST_REDIS_URL",
  "TASKTRAIL_TEST_DATABASE_URL",
];

const { ok, warn } = findings("settings");

/** Variables that begin like ours and that nothing reads: most likely misspelt. */
export function checkSettings(env: Environment): Finding[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith("TASKTRAIL_") && !VARIABLES.includes(name));
  if (unknown.length === 0) return [ok("no unknown TASKTRAIL_ variable is set")];
  return unknown.map((name) => {
    const meant = nearest(name, VARIABLES);
    return warn(`${name} is set, and nothing reads it`, meant === undefined ? "Remove it." : `Did you mean ${meant}?`);
  });
}
