import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { createBroker } from "tasktrail";
import { z } from "zod";
import { newIncarnation, openLane } from "../../streams/lane.ts";
import { boundLedger } from "../../streams/leases.ts";
import { eventually } from "../support/servers.ts";
import { RUN } from "./events.ts";
import { aLane, find, startProjector } from "./lane-fixture.ts";

const big = "x".repeat(2_000);
const LIMIT = 60_000;

/** A lane whose projector has told it a limit and is gone, with its ledger past that. */
async function anOverfullLane(t: Parameters<typeof aLane>[0], whenFull: "refuse" | "gap") {
  const lane = await aLane(t);
  const { where, redis, keys, record, eventCount } = lane;
  const note = (n: number) => record({ type: "run.redriven", run: RUN, task: big, as: String(n) });
  const settings = { maxTail: LIMIT, whenFull, trimEveryMs: 20 };
  await note(0);
  const projector = startProjector(t, { ...where, settings });
  await eventually(async () => (await redis.hget(keys.meta, "maxTail")) === String(LIMIT));
  await eventually(async () => (await eventCount()) === 1);
  await projector.stop();
  for (let n = 1; n <= 60; n += 1) await note(n);
  const { namespace } = where;
  const writing = openLane({ redis, namespace, queue: "default", incarnation: newIncarnation() });
  /** What every worker does now and then. */
  const look = () => boundLedger(writing, 1);
  return { ...lane, settings, look, size: async () => Number(await redis.memory("USAGE", keys.events)) };
}

test("a ledger that is larger than its projector allows takes no dispatches, until the archive has caught up", async (t) => {
  const { where, redis, keys, settings, look, size, eventCount } = await anOverfullLane(t, "refuse");
  const broker = createBroker({ redis: where.redis, namespace: where.namespace });
  t.after(() => broker.close());
  const greet = broker.task({ name: "greet", input: z.object({}), run() {} });
  const early = await greet.kiq({});
  assert.equal(await look(), 0);
  assert.ok((await size()) > LIMIT);
  await eventually(async () => {
    const refused = await greet.kiq({}).catch((error: { code: string; details: object }) => error);
    return "code" in refused && refused.code === "ledger_full";
  });
  await assert.rejects(greet.kiqMany([{}, {}]), { code: "ledger_full", name: "LedgerFull" });
  assert.equal(await early.status(), "waiting");
  startProjector(t, { ...where, settings });
  await eventually(async () => (await redis.hget(keys.meta, "full")) === null, { timeoutMs: 20_000 });
  assert.ok((await size()) < LIMIT);
  const run = await greet.kiq({});
  assert.equal(await run.status(), "waiting");
  await eventually(async () => (await eventCount()) >= 63);
});

test("or its oldest entries go, the gap is recorded, and its projector goes on behind it", async (t) => {
  const { where, pool, redis, keys, record, settings, look, size } = await anOverfullLane(t, "gap");
  assert.ok((await look()) > 10);
  await eventually(async () => (await size()) < LIMIT || (await look()) < 0); // Redis guesses a stream's size, and lets whole nodes go
  const [first] = (await redis.xrange(keys.events, "-", "+", "COUNT", 1)) as [string, string[]][];
  assert.equal(await redis.hget(keys.meta, "gap"), first?.[0]);
  const projector = startProjector(t, { ...where, settings });
  await record({ type: "run.redriven", run: RUN, task: "last", as: "y" });
  const told = sql.unsafe`select event ->> 'before' as before, (event ->> 'entryCount')::integer as n from ledger_events where type = 'ledger.gap'`;
  // Each look that lets some go tells of them; it may take two.
  const gaps = await eventually(async () => {
    const rows = await find(pool, told);
    return rows.some(({ before }) => before === first?.[0]) && rows;
  });
  await eventually(
    async () => (await find(pool, sql.unsafe`select 1 from ledger_events where task = 'last'`)).length === 1,
  );
  const [kept] = await find(
    pool,
    sql.unsafe`select count(*)::integer as n from ledger_events where type = 'run.redriven'`,
  );
  const sum = gaps.reduce((all, gap) => all + Number(gap.n), Number(kept?.n));
  assert.ok(
    sum >= 62 && sum <= 65,
    `${sum}: what is not archived was told, with its neighbours in a node of the stream`,
  );
  assert.deepEqual(
    projector.notices.filter(({ kind }) => kind === "problem" || kind === "lane.repaired"),
    [],
  );
});
