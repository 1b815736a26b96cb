import assert from "node:assert/strict";
import { test } from "node:test";
import { carrierOf } from "../../src/around.ts";
import { encodeDispatch } from "../../src/enqueue/encode-outbox.ts";
import { besideRun, followsFrom, inPlain, leftOut } from "../../src/left-out.ts";
import { createRunIds } from "../../streams/ids.ts";
import { inFull, OF_ATTEMPT, OF_DISPATCH } from "../../streams/trace-ids.ts";

const newRun = createRunIds("default");
const [run, other] = [newRun(0), newRun(0)];
const dispatch = { run, attempt: 0, delivery: 0 };
const attempt = { run, attempt: 2, delivery: 1 };
const full = { dispatch: inFull(OF_DISPATCH, dispatch), attempt: inFull(OF_ATTEMPT, attempt) };
const said = { traceparent: "00-said", tracestate: "a=b", baggage: "c=d" };

test("a carrier that is left out says its traceparent in full, and beside its run as what it follows from", () => {
  assert.equal(leftOut(dispatch).traceparent, full.dispatch);
  assert.equal(leftOut(attempt).traceparent, full.attempt);
  assert.equal(besideRun(leftOut(dispatch), run), OF_DISPATCH);
  assert.equal(besideRun(leftOut(attempt), run), OF_ATTEMPT);
  assert.deepEqual([followsFrom(leftOut(attempt)), followsFrom(said)], [attempt, undefined]);
});

test("beside another run it is written in full, and so is any carrier that was given its ids by chance", () => {
  assert.equal(besideRun(leftOut(attempt), other), full.attempt);
  assert.equal(besideRun(said, run), said.traceparent);
  assert.equal(besideRun({}, run), undefined);
});

test("what follows from an id that is not one of ours is written in full, since SQL could not work it out", () => {
  const strange = leftOut({ run: "orders/7", attempt: 1, delivery: 1 });
  assert.match(strange.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.equal(besideRun(strange, "orders/7"), strange.traceparent);
});

test("it is copied with others and written as JSON as a plain one is", () => {
  assert.deepEqual(inPlain(leftOut(dispatch)), { traceparent: full.dispatch });
  assert.equal(inPlain(said), said);
  const hung = [{ carrier: leftOut(dispatch) }, { carrier: { baggage: "c=d" } }].map((hook) => ({ name: "a", hook }));
  assert.deepEqual(carrierOf(hung), { traceparent: full.dispatch, baggage: "c=d" });
  const task = { name: "greet", version: 1 };
  const nothing = { keyTtl: 0 } as Parameters<typeof encodeDispatch>[0]["said"];
  const text = encodeDispatch(
    { task, run, body: "", said: nothing, key: undefined, carrier: leftOut(dispatch), isOfMany: false },
    undefined,
  );
  assert.deepEqual((JSON.parse(text) as { carrier: unknown }).carrier, { traceparent: full.dispatch });
});
