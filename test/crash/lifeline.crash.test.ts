import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { allEnd, childrenOf, runProgram } from "../support/programs.ts";
import { eventually } from "../support/servers.ts";

/** All processes below one. */
const below = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...below(child)]);

const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");

test("no process and no server of a scenario outlives the ladder that is killed with -9, be it frozen or deaf", async () => {
  const launcher = runProgram("test/crash/ladder.ts", ["--scenario", "deaf-handlers,frozen", "--small", "--seed", "1"]);
  const ladder = await eventually(() => childrenOf(launcher.child.pid as number)[0]);
  const workersOf = (pids: readonly number[]) => pids.filter((pid) => /programs\/worker\.ts/.test(commandOf(pid)));
  const all = await eventually(
    () => {
      const pids = below(ladder);
      return workersOf(pids).length >= 2 && pids.some((pid) => /programs\/producer\.ts/.test(commandOf(pid))) && pids;
    },
    { timeoutMs: 30_000 },
  );
  assert.ok(
    all.some((pid) => /redis-server/.test(commandOf(pid))),
    "its servers are among them",
  );
  const [frozen = 0] = workersOf(all);
  process.kill(frozen, "SIGSTOP");
  process.kill(ladder, "SIGKILL");
  await allEnd(all, 20_000);
  assert.equal(await launcher.ended, 137);
});
