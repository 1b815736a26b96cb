import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sql } from "slonik";
import { createRetention, keptFrom } from "../../projections/retain.ts";
import { findHorizon } from "../../sql/queries/lives.ts";
import { ensurePartitions, PARTITION_MS, partitionName } from "../../sql/queries/partitions.ts";
import { listPartitions } from "../../sql/queries/retention.ts";
import { testDatabase } from "../support/servers.ts";
import { aPool, find } from "./lane-fixture.ts";
import { aHistory, TABLES, textOf } from "./replay-fixture.ts";

const TODAY = 20_000;
const NOW = TODAY * PARTITION_MS + 1_000;

type Pool = Awaited<ReturnType<typeof aPool>>;

/** One archived entry at noon of a day. */
async function archive(pool: Pool, lane: string, day: number, seq = 0): Promise<string> {
  const ms = day * PARTITION_MS + PARTITION_MS / 2;
  await pool.query(sql.unsafe`
    insert into ledger_entries (lane, incarnation, ms, seq, event_count, header, events) values (${lane}, 'i', ${ms}, ${seq}, 0, '{}', '[]')`);
  return `${ms}-${seq}`;
}

async function aRow(pool: Pool, [id, status, positions]: readonly [string, string, string]): Promise<void> {
  await pool.query(sql.unsafe`
    insert into task_runs (id, namespace, queue, task_name, status, attempts, redeliveries, deferrals, positions)
    values (${id}, 'a', 'q', 't', ${status}, 0, 0, 0, ${positions})`);
}

const entriesOf = async (pool: Pool) =>
  (
    await find(
      pool,
      sql.unsafe`select lane, (ms / 86400000)::integer as day, seq::integer as seq from ledger_entries order by ms, lane, seq`,
    )
  ).map(({ lane, day, seq }) => `${lane} ${TODAY - Number(day)} ${seq}`);

test("days go once nobody keeps them, whole, but for the history of runs that have not ended", async (t) => {
  const pool = await aPool(t, await testDatabase());
  const days = [TODAY - 12, TODAY - 11, TODAY - 5, TODAY];
  await ensurePartitions(pool, days);
  const notices: object[] = [];
  const retention = (namespace: string, keepDays: number | undefined) =>
    createRetention({
      pool,
      namespace,
      keepMs: keepDays === undefined ? undefined : keepDays * PARTITION_MS,
      announce: (notice) => notices.push(notice),
    });
  const live = await archive(pool, "a:q", TODAY - 12);
  await archive(pool, "a:q", TODAY - 12, 1);
  const ended = await archive(pool, "a:q", TODAY - 12, 2);
  await archive(pool, "a:q", TODAY - 11);
  await archive(pool, "b:q", TODAY - 11);
  await archive(pool, "a:q", TODAY - 5);
  await archive(pool, "a:q", TODAY);
  await archive(pool, "a:q", TODAY - 9); // of a day without a partition
  const run = "01890000-0000-7abc-8000-000000000001";
  await aRow(pool, [run, "scheduled", `q/i ${live}`]);
  await aRow(pool, ["01890000-0000-7abc-8000-000000000002", "succeeded", `q/i ${ended}`]);

  await retention("a", 8).dropOld(NOW);
  // The day that b has a part in stays, as b keeps all; of a's own, the run that waits keeps its entry.
  assert.deepEqual(await entriesOf(pool), ["a:q 12 0", "a:q 11 0", "b:q 11 0", "a:q 5 0", "a:q 0 0"]);
  assert.deepEqual(notices, [
    { kind: "archive.dropped", partition: partitionName(TODAY - 12), day: "2024-09-22", keptCount: 1 },
  ]);
  assert.deepEqual(
    (await listPartitions(pool)).map(({ name }) => name),
    days.slice(1).map(partitionName),
  );
  assert.equal(await findHorizon(pool, "a:q"), NOW - 8 * PARTITION_MS);
  assert.equal(await findHorizon(pool, "b:q"), 0);

  await retention("b", 1).dropOld(NOW);
  await pool.query(sql.unsafe`update task_runs set status = 'succeeded' where id = ${run}`);
  await retention("a", 8).dropOld(NOW);
  assert.deepEqual(await entriesOf(pool), ["a:q 5 0", "a:q 0 0"]);
  assert.equal(await findHorizon(pool, "b:q"), (TODAY - 10) * PARTITION_MS);
  await retention("a", undefined).dropOld(NOW + 40 * PARTITION_MS);
  assert.deepEqual(await entriesOf(pool), ["a:q 5 0", "a:q 0 0"]);
});

test("the oldest days go until the rest is small enough, and the present one stays", async (t) => {
  const pool = await aPool(t, await testDatabase());
  await ensurePartitions(pool, [TODAY - 3, TODAY - 2, TODAY - 1, TODAY]);
  for (const day of [3, 2, 1, 0]) await archive(pool, "a:q", TODAY - day);
  const size = (await listPartitions(pool)).find(({ name }) => name === partitionName(TODAY))?.bytes ?? 0;
  const retention = (keepBytes: number | undefined) =>
    createRetention({ pool, namespace: "a", keepBytes, announce() {} }).dropOld(NOW);
  await retention(size * 4);
  assert.equal((await entriesOf(pool)).length, 4);
  await retention(size * 2.5);
  assert.deepEqual(await entriesOf(pool), ["a:q 1 0", "a:q 0 0"]);
  assert.equal(await findHorizon(pool, "a:q"), (TODAY - 1) * PARTITION_MS);
  await retention(1);
  assert.deepEqual(await entriesOf(pool), ["a:q 0 0"]);
});

test("after days were dropped, a rebuild carries over what is older, and a run that had not ended goes on", async (t) => {
  const { pool, where, record, project, replayTable } = await aHistory(t, 30);
  const tables = () => Promise.all(TABLES.map((table) => textOf(pool, table)));
  const before = await tables();
  const announce = () => {};
  const keep = { pool, namespace: where.namespace, keepMs: PARTITION_MS, announce };
  await createRetention(keep).dropOld(Date.now() + 10 * PARTITION_MS);
  const endings = sql.unsafe`select run from ledger_events where type = 'run.succeeded'`;
  assert.ok((await find(pool, endings)).length < 12, "of eighteen, those that share an entry with what is needed");
  for (const table of TABLES) {
    const { insert, update, delete: removed, carried } = await replayTable(table);
    assert.deepEqual([insert, update, removed], [0, 0, 0], table);
    assert.ok(carried > 0 || table !== "task_runs", "what is left would make other rows, or none");
  }
  assert.deepEqual(await tables(), before);
  const [waits] = await find(
    pool,
    sql.unsafe`select id::text as id, task_name as task from task_runs where status = 'waiting' order by id limit 1`,
  );
  const attempt = { run: String(waits?.id), task: String(waits?.task), attempt: 1, delivery: 1 };
  await record({ type: "run.started", ...attempt }, { type: "run.succeeded", ...attempt, durationMs: 1 });
  await project();
  assert.deepEqual(await find(pool, sql.unsafe`select status from task_runs where id = ${attempt.run}`), [
    { status: "succeeded" },
  ]);
});

test("a day is kept by the namespace that wants it longest", () => {
  const names = fc.constantFrom("a", "b", "c");
  const given = fc.dictionary(names, fc.nat(1_000), { minKeys: 1 });
  fc.assert(
    fc.property(fc.array(names, { minLength: 1 }), given, (namespaces, froms) => {
      const from = keptFrom(
        namespaces.map((name) => `${name}:q`),
        new Map(Object.entries(froms)),
      );
      for (const name of namespaces) assert.ok(from <= (froms[name] ?? Number.NEGATIVE_INFINITY));
      if (namespaces.every((name) => name in froms)) assert.ok(Number.isFinite(from));
    }),
  );
});
