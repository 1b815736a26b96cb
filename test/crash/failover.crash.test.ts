import assert from "node:assert/strict";
import { test } from "node:test";
import { aPool } from "../projections/lane-fixture.ts";
import { testDatabase, testNamespace } from "../support/servers.ts";
import { failOver } from "./failover.ts";

/** `TASKTRAIL_FAILOVERS=50 npm test -- test/crash/failover` is the whole of it. */
const TIMES = Number(process.env.TASKTRAIL_FAILOVERS ?? 1);

test(`a primary that dies with its tail is noticed and repaired, ${TIMES} times of ${TIMES}`, {
  timeout: TIMES * 600_000,
}, async (t) => {
  const database = await testDatabase();
  const pool = await aPool(t, database);
  for (let time = 1; time <= TIMES; time += 1) {
    const tally = await failOver({ pool, database, namespace: testNamespace(), tailMs: 100 + 40 * (time % 10) });
    t.diagnostic(JSON.stringify({ time, ...tally }));
    assert.ok(tally.tail > 0, "no tail was lost: the failover shows nothing");
    assert.equal(tally.isNoticed, true);
    assert.deepEqual({ unended: tally.unended, doubled: tally.doubled }, { unended: 0, doubled: 0 });
    assert.ok(tally.restored + tally.withdrawn > 0, "nothing was to be repaired");
  }
});
