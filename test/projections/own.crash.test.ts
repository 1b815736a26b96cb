import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { sql } from "slonik";
import { type OwnDefinition, shownVersion } from "../../projections/own.ts";
import { statement } from "../../sql/statement.ts";
import { eventually } from "../support/servers.ts";
import { first, second } from "./fixtures/by-task.ts";
import { find, startProjector } from "./lane-fixture.ts";
import { aHistory } from "./replay-fixture.ts";

const PROCESS = new URL("./fixtures/switch-process.ts", import.meta.url);
const STEPS = ["before:drop view", "after:drop view", "after:create view", "before:grant", "after:comment on view"];

test("a projector that is killed while it switches a view leaves the old version on show, with its rights, and the next one switches it", async (t) => {
  const { pool, where } = await aHistory(t, 20);
  const runs = () => find(pool, sql.unsafe`select task, runs from by_task order by task`);
  const right = [
    { task: "even", runs: 10 },
    { task: "odd", runs: 10 },
  ];
  const old = startProjector(t, { ...where, own: [first as unknown as OwnDefinition] });
  const isBuilt = async () =>
    (await find(pool, sql.unsafe`select 1 from pg_views where viewname = 'by_task'`)).length === 1 &&
    JSON.stringify(await runs()) === JSON.stringify(right);
  await eventually(isBuilt, { timeoutMs: 60_000 });
  await old.stop();
  const role = `switch_reader_${process.pid}`;
  for (const text of [`create role ${role}`, `grant select on by_task to ${role}`])
    await pool.query(statement(text, []));
  const mayRead = () => find(pool, statement("select has_table_privilege($1, 'by_task', 'select') as may", [role]));
  for (const step of STEPS) {
    const env = { ...process.env, NODE_OPTIONS: "", TEST_PROJECTOR: JSON.stringify(where), KILL_AT: step };
    const child = fork(PROCESS, {
      execArgv: ["--conditions=tasktrail-source"],
      env,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"], step);
    assert.equal(await shownVersion(pool, "by_task"), 1, step);
    assert.deepEqual([await runs(), await mayRead()], [right, [{ may: true }]], step);
  }
  startProjector(t, { ...where, own: [second as unknown as OwnDefinition] });
  await eventually(async () => (await shownVersion(pool, "by_task")) === 2, { timeoutMs: 60_000 });
  assert.deepEqual([await runs(), await mayRead()], [right, [{ may: true }]]);
  for (const text of [`drop owned by ${role}`, `drop role ${role}`]) await pool.query(statement(text, []));
});
