import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { CliError } from "../../../src/cli/failure.ts";
import { firstMistake, readInput } from "../../../src/cli/json-input.ts";

test("what JSON.parse takes has no mistake, and what it refuses has one", () => {
  const damaged = fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([json, at, junk]) => {
    const place = at % (json.length + 1);
    return json.slice(0, place) + junk + json.slice(place + 1);
  });
  fc.assert(
    fc.property(fc.oneof(fc.json(), damaged), (text) => {
      assert.equal(firstMistake(text) === undefined, isJson(text), text);
    }),
    { numRuns: 2_000 },
  );
});

test("a mistake is shown by line and column, with the place marked", () => {
  assert.throws(
    () => readInput('{"a": 1,\n "b": x}', "/"),
    (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.exitCode, 2);
      assert.match(error.message, /unexpected "x" at line 2, column 7\n "b": x}\n {6}\^$/);
      return true;
    },
  );
  assert.throws(() => readInput('{"a": 1', "/"), /it ends too early at line 1, column 8/);
});

test("an input may come from a file, whose path is seen from the folder of the command", () => {
  const folder = mkdtempSync(join(tmpdir(), "tasktrail-input-"));
  try {
    writeFileSync(join(folder, "input.json"), '\ufeff{"a":1}');
    assert.deepEqual(readInput("@input.json", folder), { a: 1 });
    assert.throws(() => readInput("@other.json", folder), /other.json: there is no such file/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no input is undefined, and an empty one a mistake", () => {
  assert.equal(readInput(undefined, "/"), undefined);
  assert.throws(() => readInput("", "/"), /empty/);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
