import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import pg from "pg";
import { startPostgres } from "../../../src/dev/start-postgres.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { allEnd, runProgram, scratchFolder, serversOf } from "../../support/programs.ts";
import { eventually } from "../../support/servers.ts";

const start = (folder: string, env = {}, args: string[] = []) =>
  runProgram("test/support/servers-up.ts", args, { TASKTRAIL_DATA: folder, ...env });

test("a signal ends the servers and their program, with exit code 0", async () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const folder = scratchFolder();
    const program = start(folder);
    const servers = await serversOf(folder);
    program.child.kill(signal);
    assert.equal(await program.ended, 0, program.output());
    await allEnd([servers.redisPid, servers.postgresPid], 0);
  }
});

test("Ctrl-C ends npm start, at work, with exit code 0 and leaves no server behind", async () => {
  const folder = scratchFolder();
  const program = runProgram("src/dev/start.ts", [], { TASKTRAIL_DATA: folder });
  const servers = await serversOf(folder);
  await eventually(() => program.output().includes("succeeded"), { timeoutMs: 30_000 });
  program.child.kill("SIGINT");
  assert.equal(await program.ended, 0, program.output());
  await allEnd([servers.redisPid, servers.postgresPid], 0);
});

test("the data, the ports and the passwords of the servers stay from one start to the next", async () => {
  const folder = scratchFolder();
  const redisOptions = { dataDir: join(folder, "redis"), durable: true };
  const postgresOptions = { dataDir: join(folder, "postgres"), durable: true };
  const program = start(folder);
  await serversOf(folder);
  program.child.kill("SIGTERM");
  assert.equal(await program.ended, 0, program.output());
  const urls: string[][] = [];
  for (const round of [1, 2]) {
    await using redis = await startRedis(redisOptions);
    await using postgres = await startPostgres(postgresOptions);
    urls.push([redis.url, postgres.url]);
    const client = new Redis(redis.url);
    assert.equal(await client.incr("rounds"), round);
    await client.quit();
    const session = new pg.Client(postgres.url);
    await session.connect();
    await session.query("create table if not exists rounds (round int)");
    const { rows } = await session.query("insert into rounds values (1) returning (select count(*)::int from rounds)");
    assert.equal(rows[0].count, round - 1);
    await session.end();
  }
  assert.deepEqual(urls[0], urls[1]);
});

test("a second start in the same folder names the process that holds it, and so does reset", async () => {
  const folder = scratchFolder();
  const first = start(folder);
  await serversOf(folder);
  const second = start(folder);
  assert.equal(await second.ended, 1);
  const pid = /process (\d+)/.exec(second.output())?.[1];
  const reset = runProgram("src/dev/reset.ts", [], { TASKTRAIL_DATA: folder });
  assert.equal(await reset.ended, 1);
  assert.match(reset.output(), new RegExp(`process ${pid}`));
  process.kill(Number(pid), "SIGINT"); // it is the first one that was named
  assert.equal(await first.ended, 0, first.output());
});

test("reset removes the data", async () => {
  const folder = scratchFolder();
  mkdirSync(join(folder, "redis"));
  mkdirSync(join(folder, "postgres"));
  const reset = runProgram("src/dev/reset.ts", [], { TASKTRAIL_DATA: folder });
  assert.equal(await reset.ended, 0, reset.output());
  assert.equal(existsSync(join(folder, "redis")) || existsSync(join(folder, "postgres")), false);
});

test("a REDIS_URL or DATABASE_URL that does not answer ends the start with 69 and is not replaced", async () => {
  for (const [name, url] of [
    ["REDIS_URL", "redis://:geheim@127.0.0.1:1/0"],
    ["DATABASE_URL", "postgres://me:geheim@127.0.0.1:1/mine"],
  ] as const) {
    const folder = scratchFolder();
    const program = start(folder, { [name]: url });
    assert.equal(await program.ended, 69, program.output());
    assert.match(program.output(), new RegExp(`${name} names .*127\\.0\\.0\\.1:1.*ECONNREFUSED`));
    assert.doesNotMatch(program.output(), /geheim/);
    assert.equal(existsSync(join(folder, name === "REDIS_URL" ? "redis" : "postgres")), false);
  }
});

test("a checkout that the user postgres may not enter works, and reset finds the data", {
  skip: process.getuid?.() !== 0 && "only root hands Postgres to another user",
}, async () => {
  const home = scratchFolder();
  chmodSync(home, 0o700);
  const folder = join(home, "checkout");
  const program = start(folder, {}, ["briefly"]);
  assert.equal(await program.ended, 0, program.output());
  const elsewhere = /its data lies in (\S+)/.exec(program.output())?.[1] as string;
  assert.ok(existsSync(join(elsewhere, "cluster")));
  assert.equal(await runProgram("src/dev/reset.ts", [], { TASKTRAIL_DATA: folder }).ended, 0);
  assert.equal(existsSync(elsewhere), false);
});
