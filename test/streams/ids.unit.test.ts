import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  createRunIds,
  cronRunId,
  derivedId,
  isRunId,
  laneHash,
  runIdLane,
  runIdTime,
  type SlotName,
} from "../../streams/ids.ts";

const someTime = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe("a run's id", () => {
  test("is a UUIDv7 that tells when the run was dispatched and in which lane", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), someTime, (queue, now) => {
        const id = createRunIds(queue)(now);
        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.ok(isRunId(id));
        assert.equal(runIdTime(id), now);
        assert.equal(runIdLane(id), laneHash(queue));
      }),
    );
  });

  test("takes a time with fractions for the millisecond that it is in", () => {
    assert.equal(runIdTime(createRunIds("q")(1_700_000_000_123.9)), 1_700_000_000_123);
  });

  test("is never the same twice, over more than one draw of randomness", () => {
    const ids = createRunIds("q");
    const made = new Set(Array.from({ length: 50_000 }, () => ids(1_700_000_000_000)));
    assert.equal(made.size, 50_000);
  });

  test("uses all of its random bits, and those of the variant as RFC 9562 has them", () => {
    const ids = createRunIds("q");
    let ones = 0n;
    let zeros = 0n;
    for (let i = 0; i < 2_000; i += 1) {
      const bits = BigInt(`0x${ids(0).slice(19).replace("-", "")}`);
      ones |= bits;
      zeros |= ~bits & (2n ** 64n - 1n);
    }
    assert.equal(ones, (2n ** 63n) | (2n ** 62n - 1n));
    assert.equal(zeros, (2n ** 62n) | (2n ** 62n - 1n));
  });

  test("sorts by its time, as text", () => {
    fc.assert(
      fc.property(someTime, someTime, (a, b) => {
        if (a === b) return;
        const ids = createRunIds("q");
        assert.equal(ids(a) < ids(b), a < b);
      }),
    );
  });
});

test("a lane's hash has twelve bits, is the same everywhere, and spreads queues", () => {
  assert.equal(laneHash("default"), 1285);
  const hashes = Array.from({ length: 2_000 }, (_, index) => laneHash(`queue-${index}`));
  assert.ok(hashes.every((hash) => hash >= 0 && hash < 4096));
  assert.ok(new Set(hashes).size > 1_400);
});

describe("a cron run's id", () => {
  const slot: SlotName = { namespace: "n", queue: "q", schedule: "s", slotMs: 60_000, rerun: 0 };

  test("is a UUIDv5 that every machine makes the same", () => {
    assert.match(cronRunId(slot), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(cronRunId(slot), cronRunId({ ...slot }));
    assert.ok(isRunId(cronRunId(slot)));
  });

  test("is another one for each other slot, schedule, queue, namespace and rerun", () => {
    const others = [{ namespace: "m" }, { queue: "r" }, { schedule: "t" }, { slotMs: 60_001 }, { rerun: 1 }];
    const ids = [slot, ...others.map((other) => ({ ...slot, ...other }))].map(cronRunId);
    assert.equal(new Set(ids).size, ids.length);
  });

  test("tells neither time nor lane", () => {
    assert.equal(runIdTime(cronRunId(slot)), undefined);
    assert.equal(runIdLane(cronRunId(slot)), undefined);
  });

  test("never changes: these have been given out", () => {
    assert.equal(cronRunId(slot), "ce184cc0-1f86-572e-b603-575ad8d421f3");
    assert.equal(derivedId("a", "b"), "85f0cb4b-5aa6-5c80-8006-8d9c34455d6f");
    assert.notEqual(derivedId("a", "b"), derivedId("ab"));
  });
});

test("what is no run id is not taken for one", () => {
  const id = createRunIds("q")(1_700_000_000_000);
  for (const other of ["", id.toUpperCase(), ` ${id}`, `${id}\n`, id.slice(1), id.replace("-7", "-4"), `${id}0`])
    assert.equal(isRunId(other), false, other);
});
