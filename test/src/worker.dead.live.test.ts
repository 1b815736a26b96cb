import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { listDead, redrive } from "../../src/deliver/dead-letters.ts";
import { engineOf } from "../../src/engine.ts";
import { openWork } from "../support/work.ts";

test("a dead run is listed with its error, and is run again once as a new run", async () => {
  await using work = await openWork();
  let isBroken = true;
  const seen: unknown[] = [];
  const repair = work.broker.task({
    name: "repair",
    input: z.object({ n: z.number() }),
    retry: { attempts: 1 },
    run(input, _deps, run) {
      if (isBroken) throw new Error("broken");
      seen.push({ ...input, labels: run.labels });
    },
  });
  work.work();
  const run = await repair.with({ labels: { of: "test" } }).kiq({ n: 7 });
  await work.ledger.ended([run.id]);
  const [dead, ...others] = await listDead(work.redis, work.namespace, { queue: "default", task: "repair" });
  assert.equal(others.length, 0);
  assert.ok(dead !== undefined);
  assert.equal(dead.run, run.id);
  assert.equal(dead.reason, "attempts");
  assert.equal(dead.error?.message, "broken");

  isBroken = false;
  const lane = await engineOf(work.broker).lane("default");
  const [one, two] = await Promise.all([redrive(lane, dead), redrive(lane, dead)]);
  assert.equal(one.run, two.run);
  assert.deepEqual([one.isNew, two.isNew].sort(), [false, true]);
  const [ending] = await work.ledger.ended([one.run]);
  assert.equal(ending?.type, "run.succeeded");
  assert.deepEqual(seen, [{ n: 7, labels: { of: "test" } }]);
  const events = await work.ledger.events();
  const enqueued = events.find((event) => event.type === "run.enqueued" && event.run === one.run);
  assert.ok(enqueued?.type === "run.enqueued" && enqueued.redriveOf === run.id);
  assert.equal(events.filter((event) => event.type === "run.redriven").length, 1);
  assert.equal((await listDead(work.redis, work.namespace, { queue: "default" })).length, 0);
});
