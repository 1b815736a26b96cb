import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { eventSchemas } from "../../streams/event-schemas.ts";
import { ENDINGS, EVENT_TYPES, type EventType, isEnding, TRANSITIONS } from "../../streams/events.ts";
import { evolve, firstIllegal, hasEnded, LEGAL, type RunState, stateAfter } from "../../streams/run.ts";

const history = (...types: string[]) => types.map((type) => ({ type }));

describe("a legal history", () => {
  const legal: [string, ...string[]][] = [
    ["succeeded", "run.enqueued", "run.started", "run.succeeded"],
    ["succeeded", "run.enqueued", "run.started", "run.failed", "run.due", "run.started", "run.succeeded"],
    ["succeeded", "run.enqueued", "run.started", "run.redelivered", "run.started", "run.succeeded"],
    ["succeeded", "run.enqueued", "run.released", "run.redelivered", "run.started", "run.succeeded"],
    ["succeeded", "run.enqueued", "run.deferred", "run.due", "run.started", "run.succeeded"],
    [
      "succeeded",
      "run.enqueued",
      "run.recovered",
      "run.started",
      "run.succeeded",
      "run.cancel_requested",
      "run.fenced",
    ],
    ["died", "run.enqueued", "run.died"],
    ["died", "run.enqueued", "run.started", "run.died"],
    ["cancelled", "run.enqueued", "run.cancel_requested", "run.cancelled"],
    ["cancelled", "run.enqueued", "run.started", "run.failed", "run.cancelled"],
    ["skipped", "run.enqueued", "run.skipped"],
    ["lost", "run.enqueued", "run.started", "run.lost"],
    ["waiting", "run.restored"],
  ];
  for (const [state, ...types] of legal) {
    test(`may be ${types.map((type) => type.slice(4)).join(", ")}`, () => {
      assert.equal(firstIllegal(history(...types)), undefined);
      assert.equal(stateAfter(history(...types)), state);
    });
  }

  test("of a delayed run begins as scheduled, and needs to become due", () => {
    const delayed = { type: "run.enqueued", dueAt: 5 };
    assert.equal(stateAfter([delayed]), "scheduled");
    assert.equal(firstIllegal([delayed, ...history("run.due", "run.started")]), undefined);
    assert.deepEqual(firstIllegal([delayed, ...history("run.started")]), {
      index: 1,
      state: "scheduled",
      type: "run.started",
    });
  });
});

describe("an illegal history", () => {
  const illegal: [number, ...string[]][] = [
    [0, "run.started"],
    [1, "run.enqueued", "run.enqueued"],
    [1, "run.enqueued", "run.succeeded"],
    [2, "run.enqueued", "run.started", "run.started"],
    [2, "run.enqueued", "run.started", "run.skipped"],
    [2, "run.enqueued", "run.started", "run.deferred"],
    [1, "run.enqueued", "run.due"],
    [3, "run.enqueued", "run.started", "run.succeeded", "run.started"],
    [3, "run.enqueued", "run.started", "run.failed", "run.redelivered"],
  ];
  for (const [index, ...types] of illegal) {
    test(`is ${types.map((type) => type.slice(4)).join(", ")}`, () => {
      const found = firstIllegal(history(...types));
      assert.equal(found?.index, index);
      assert.equal(found?.type, types[index]);
    });
  }

  test("is passed over for the state: what is recorded is recorded", () => {
    assert.equal(stateAfter(history("run.enqueued", "run.succeeded", "run.started")), "running");
  });
});

test("the names of event types are those of their schemas", () => {
  assert.deepEqual(EVENT_TYPES.toSorted(), Object.keys(eventSchemas).sort());
});

const anyType = fc.constantFrom(...(Object.keys(eventSchemas) as EventType[]), "run.unheard_of", "note");

test("a legal history has at most one ending, and nothing but notes after it", () => {
  fc.assert(
    fc.property(fc.array(anyType, { maxLength: 30 }), (types) => {
      const kept: string[] = [];
      for (const type of types) if (firstIllegal(history(...kept, type)) === undefined) kept.push(type);
      const end = kept.findIndex(isEnding);
      assert.ok(kept.filter(isEnding).length <= 1);
      if (end >= 0) assert.ok(kept.slice(end + 1).every((type) => !(type in LEGAL)));
      assert.equal(hasEnded(stateAfter(history(...kept))), end >= 0);
    }),
    { numRuns: 500 },
  );
});

test("the table names the transitions and endings, and no others", () => {
  assert.deepEqual(Object.keys(LEGAL).sort(), [...TRANSITIONS, ...ENDINGS].sort());
});

test("every state can be reached, and every one that is no ending can be left", () => {
  const states = new Set<RunState>(["none"]);
  for (let size = -1; size !== states.size; ) {
    size = states.size;
    for (const state of [...states])
      for (const type of Object.keys(LEGAL))
        for (const dueAt of [undefined, 5]) {
          const next = evolve(state, { type, dueAt });
          if (next !== undefined) states.add(next);
        }
  }
  assert.equal(states.size, 10);
  for (const state of states) {
    const canLeave = Object.keys(LEGAL).some((type) => evolve(state, { type }) !== undefined);
    assert.equal(canLeave, !hasEnded(state), state);
  }
});

test("an ending can be reached from every state", () => {
  for (const state of ["scheduled", "waiting", "running", "retrying"] as const)
    assert.equal(evolve(state, { type: "run.cancelled" }), "cancelled");
});
