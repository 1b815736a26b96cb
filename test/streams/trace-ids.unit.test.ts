import assert from "node:assert/strict";
import { test } from "node:test";
import { createRunIds } from "../../streams/ids.ts";
import { idsOfAttempt, idsOfDispatch, inFull, OF_ATTEMPT, OF_DISPATCH } from "../../streams/trace-ids.ts";

const run = createRunIds("default")(0);
const said = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

test("a traceparent that is written as what it follows from is spelt out, as not sampled", () => {
  const dispatch = idsOfDispatch(run);
  const attempt = idsOfAttempt({ run, attempt: 2, delivery: 3 });
  assert.equal(inFull(OF_DISPATCH, { run }), `00-${dispatch.traceId}-${dispatch.spanId}-00`);
  assert.equal(inFull(OF_DISPATCH, { run, attempt: 2, delivery: 3 }), `00-${dispatch.traceId}-${dispatch.spanId}-00`);
  assert.equal(inFull(OF_ATTEMPT, { run, attempt: 2, delivery: 3 }), `00-${attempt.traceId}-${attempt.spanId}-00`);
});

test("any other stays as it is, and what it follows from has to be known", () => {
  assert.equal(inFull(said, { run }), said);
  assert.equal(inFull(undefined, { run }), undefined);
  assert.equal(inFull(OF_DISPATCH, {}), undefined);
  assert.equal(inFull(OF_ATTEMPT, { run, attempt: 1 }), undefined);
});
