import assert from "node:assert/strict";
import { test } from "node:test";
import { placeIn, placeOfCaller } from "../../../src/define/place.ts";

test("the caller's place is the file and line of the code that called us", () => {
  assert.match(placeOfCaller(), /\/place\.unit\.test\.ts:6$/);
});

test("our own files are passed over, in any form a stack may have", () => {
  const stack = [
    "Error",
    "    at declareTask (file:///app/node_modules/tasktrail/src/define/declare.ts:40:10)",
    "    at Object.task (/app/node_modules/tasktrail/src/broker.ts:20:5)",
    "    at new Promise (<anonymous>)",
    "    at async file:///app/tasks.ts:7:30",
    "    at run (node:internal/modules:5:1)",
  ].join("\n");
  assert.equal(placeIn(stack, "file:///app/node_modules/tasktrail/src/"), "/app/tasks.ts:7");
  const spaced = "Error\n    at f (/my app/lib/src/define/task.ts:1:1)\n    at /my app/tasks.ts:7:30";
  assert.equal(placeIn(spaced, "file:///my%20app/lib/src/"), "/my app/tasks.ts:7");
  assert.equal(
    placeIn(spaced.replaceAll("/my app", "file:///my%20app"), "file:///my%20app/lib/src/"),
    "/my app/tasks.ts:7",
  );
  assert.equal(placeIn("Error\n    at f (C:\\app\\tasks.js:7:30)", "file:///x/"), "C:\\app\\tasks.js:7");
  assert.equal(placeIn("Error\n    at native", "file:///x/"), "an unknown place");
});

test("a program that replaces its stacks is borne with", () => {
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = () => 5;
  try {
    assert.equal(placeOfCaller(), "an unknown place");
  } finally {
    Error.prepareStackTrace = before;
  }
});
