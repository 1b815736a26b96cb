import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { allEnd, childrenOf, runProgram, scratchFolder, serversOf } from "../../support/programs.ts";

const start = (folder: string, args: string[] = []) =>
  runProgram("test/support/servers-up.ts", args, { TASKTRAIL_DATA: folder });

test("no server outlives the program that is killed with -9, and the next start works at once", async () => {
  const folder = scratchFolder();
  for (let round = 0; round < 3; round++) {
    const program = start(folder);
    const { redisPid, postgresPid } = await serversOf(folder);
    const [inner] = childrenOf(program.child.pid as number);
    process.kill(inner as number, "SIGKILL");
    assert.equal(await program.ended, 137, program.output());
    if (round < 2) await allEnd([redisPid, postgresPid]);
  }
  const next = start(folder, ["briefly"]); // while the last servers may still be on their way out
  assert.equal(await next.ended, 0, next.output());
});

test("no program and no server outlives the launcher that is killed with -9", async () => {
  const folder = scratchFolder();
  const program = start(folder);
  const { redisPid, postgresPid } = await serversOf(folder);
  const inner = childrenOf(program.child.pid as number);
  assert.equal(inner.length, 1);
  program.child.kill("SIGKILL");
  await allEnd([...inner, redisPid, postgresPid]);
});

test("no server outlives npm start, with its application at work, that is killed with -9", async () => {
  const folder = scratchFolder();
  const program = runProgram("src/dev/start.ts", [], { TASKTRAIL_DATA: folder });
  const { redisPid, postgresPid } = await serversOf(folder);
  const [inner] = childrenOf(program.child.pid as number);
  process.kill(inner as number, "SIGKILL");
  assert.equal(await program.ended, 137, program.output());
  await allEnd([redisPid, postgresPid]);
});

test("no server outlives a start that fails half-way", async () => {
  const folder = scratchFolder();
  const first = start(folder, ["briefly"]);
  assert.equal(await first.ended, 0, first.output());
  rmSync(join(folder, "postgres/cluster/global"), { recursive: true }); // a cluster that cannot start any more
  const second = start(folder);
  assert.equal(await second.ended, 1, second.output());
  assert.match(second.output(), /Postgres was started and ended at once[\s\S]*global/);
  const redisPid = Number(/pid=(\d+), just started/.exec(readFileSync(join(folder, "redis/redis.log"), "utf8"))?.[1]);
  assert.ok(redisPid > 0);
  await allEnd([redisPid], 0);
});

test("the leftovers of processes that are gone do not stand in the way, even when their ids are in use again", async () => {
  const folder = scratchFolder();
  const first = start(folder, ["briefly"]);
  assert.equal(await first.ended, 0, first.output());
  const other = String(process.pid); // lives, and is neither an owner nor a server
  writeFileSync(join(folder, "owner.json"), JSON.stringify({ pid: process.pid, birth: "1" }));
  writeFileSync(join(folder, "postgres/cluster/postmaster.pid"), `${other}\n${folder}\n`);
  writeFileSync(join(folder, "redis/redis.pid"), `${other}\n`);
  const second = start(folder, ["briefly"]);
  assert.equal(await second.ended, 0, second.output());
});
