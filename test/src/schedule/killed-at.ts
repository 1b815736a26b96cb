import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { TestWork } from "../../support/work.ts";

/** Does something in a process that is killed with -9 at a step, as `kill-at.ts` names it. Throws when it has come past it. */
export async function killedAt(
  step: string,
  deed: string,
  { url, namespace }: TestWork,
  ...rest: readonly string[]
): Promise<void> {
  const program = join(import.meta.dirname, "steps-process.ts");
  const child = spawn(process.execPath, [program, deed, url, namespace, ...rest], {
    stdio: "inherit",
    env: { ...process.env, LOG_LEVEL: "silent", CRASH_KILL_AT: step },
  });
  const [, signal] = await once(child, "exit");
  assert.equal(signal, "SIGKILL", `${deed} has come past ${step}`);
}
