import assert from "node:assert/strict";
import { test } from "node:test";
import { createDeadlines, type Timed } from "../../../src/execute/deadline.ts";

test("each deadline is told once it has come, and the nearest one first", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const due: string[] = [];
  const pass = (ms: number) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  type Named = Timed & { name: string };
  const deadlines = createDeadlines<Named>(
    () => now,
    (one) => due.push(one.name),
  );
  const late: Named = { place: -1, name: "late", deadlineAt: 500 };
  deadlines.add({ place: -1, name: "soon", deadlineAt: 100 });
  deadlines.add(late);
  deadlines.add({ place: -1, name: "sooner", deadlineAt: 50 });
  const done: Named = { place: -1, name: "done", deadlineAt: 60 };
  deadlines.add(done);
  deadlines.remove(done);
  assert.equal(deadlines.latest(), 500);
  pass(60);
  assert.deepEqual(due, ["sooner"]);
  late.deadlineAt = 150;
  deadlines.moved(late);
  pass(45);
  assert.deepEqual(due, ["sooner", "soon"]);
  pass(50);
  assert.deepEqual(due, ["sooner", "soon", "late"]);
  assert.equal(deadlines.latest(), 0);
});

test("a deadline that is moved on when it is due is told again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  let count = 0;
  const deadlines = createDeadlines<Timed>(
    () => now,
    (one) => {
      count += 1;
      if (count === 1) one.deadlineAt = now + 100;
    },
  );
  deadlines.add({ place: -1, deadlineAt: 10 });
  for (let step = 0; step < 40; step += 1) {
    now += 10;
    t.mock.timers.tick(10);
  }
  assert.equal(count, 2);
});
