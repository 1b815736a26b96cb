import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { type Context, createContextKey, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { createRunContexts } from "../../otel/contexts.ts";
import { type CurrentRun, currentRun } from "../../src/current-run.ts";

const { manager, enter } = createRunContexts();
const KEY = createContextKey("what");
const named = (what: string): Context => ROOT_CONTEXT.setValue(KEY, what);
const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
const runOf = (some: Partial<CurrentRun> = {}): CurrentRun => ({
  run: "r",
  root: "r",
  carrier: { traceparent },
  context: undefined,
  ...some,
});
const what = () => manager.active().getValue(KEY);
const traceId = () => trace.getSpanContext(manager.active())?.traceId;

test("within a run that nobody has made a context for, that of its carrier is active, and the same one each time", async () => {
  assert.equal(manager.active(), ROOT_CONTEXT);
  await currentRun.run(runOf(), async () => {
    const first = manager.active();
    await Promise.resolve();
    assert.equal(traceId(), "a".repeat(32));
    assert.equal(manager.active(), first);
  });
  currentRun.run(runOf({ carrier: {} }), () => assert.equal(traceId(), undefined));
});

test("what a hook has given is active within its run", () => {
  currentRun.run(runOf({ context: named("a span's") }), () => assert.equal(what(), "a span's"));
});

test("of a run and a context, what was entered last is active", () => {
  manager.with(named("outside"), () => {
    assert.equal(what(), "outside");
    currentRun.run(runOf({ context: named("the run's") }), () => {
      assert.equal(what(), "the run's");
      manager.with(named("inside"), () => {
        assert.equal(what(), "inside");
        currentRun.run(runOf({ context: named("another run's") }), () => assert.equal(what(), "another run's"));
        assert.equal(what(), "inside");
      });
      assert.equal(what(), "the run's");
    });
    assert.equal(what(), "outside");
  });
});

test("a context is made once somebody asks for it", () => {
  let count = 0;
  const make = () => {
    count += 1;
    return named("late");
  };
  enter(make, () => assert.equal(count, 0));
  enter(make, () => assert.deepEqual([what(), what(), count], ["late", "late", 1]));
});

test("functions, listeners and attached contexts keep theirs within a run", () => {
  const emitter = new EventEmitter();
  const heard: unknown[] = [];
  const note = () => heard.push(what());
  const bound = manager.bind(named("bound"), note);
  manager.bind(named("emitter's"), emitter).on("x", note);
  currentRun.run(runOf({ context: named("the run's") }), () => {
    bound();
    emitter.emit("x");
    const attached = manager.attach?.(named("attached"));
    note();
    attached?.dispose();
    note();
  });
  assert.deepEqual(heard, ["bound", "emitter's", "attached", "the run's"]);
});
