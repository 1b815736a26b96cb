import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import fc from "fast-check";
import { DEEPEST, fromJson, toJson } from "../../../src/define/json.ts";
import { pathTo } from "../../../src/define/json-culprit.ts";
import { isTasktrailError } from "../../../src/errors.ts";

const place = { name: "input", owner: 'task "t"' } as const;
const LIMIT = 262_144;

function problemOf(value: unknown, maxBytes = LIMIT): string {
  try {
    toJson(value, place, maxBytes);
  } catch (error) {
    assert.ok(isTasktrailError(error, "not_json") || isTasktrailError(error, "too_large"), String(error));
    return error.message;
  }
  assert.fail("it was written");
}

class Money {
  readonly cents = 5;
  plus() {
    return this;
  }
}
class Query {
  // biome-ignore lint/suspicious/noThenProperty: that is the case
  then() {}
}
class Point {
  readonly x = 1;
  readonly y = 2;
}

test("each culprit is named with its path, and what to use in its place", () => {
  const culprits: [unknown, RegExp][] = [
    [
      { rows: [1, 2, 3, { at: new Date(0) }] },
      /input\.rows\[3\]\.at is a Date, which JSON has not: use a string, as date\.toISOString\(\) gives/,
    ],
    [{ n: 1n }, /input\.n is a bigint, which JSON has not: use a string/],
    [{ n: Number.NaN }, /input\.n is NaN, which JSON has not: use null/],
    [{ n: Number.POSITIVE_INFINITY }, /input\.n is Infinity/],
    [{ n: [-1 / 0] }, /input\.n\[0\] is -Infinity/],
    [[undefined], /input\[0\] is undefined, which JSON has not: use null/],
    [new Array(3), /input\[0\] is undefined/],
    [{ "a b": { m: new Map() } }, /input\["a b"\]\.m is a Map, .*Object\.fromEntries\(map\)/],
    [{ s: new Set() }, /input\.s is a Set, .*\[\.\.\.set\]/],
    [{ f() {} }, /input\.f is a function/],
    [{ s: Symbol("x") }, /input\.s is a symbol/],
    [{ p: Promise.resolve() }, /input\.p is a promise: await it/],
    [{ b: Buffer.from("a") }, /input\.b is binary, .*store it and pass a reference/],
    [{ b: new ArrayBuffer(1) }, /input\.b is binary/],
    [{ e: new Error("x") }, /input\.e is an Error, of which JSON keeps nothing: use its message/],
    [{ r: /x/ }, /input\.r is a RegExp/],
    [{ u: new URL("http://a") }, /input\.u is a URL.*use its href/],
    [{ w: new WeakMap() }, /input\.w is a WeakMap/],
    [{ m: new Money() }, /input\.m is an instance of Money, whose plus JSON would lose: pass its data/],
    [
      { m: Object.assign(new Point(), { toJSON: () => 5 }) },
      /input\.m is an instance of Point: pass what its toJSON\(\) gives/,
    ],
    [{ m: { toJSON: () => 5 } }, /input\.m\.toJSON is a function/],
    [{ q: new Query() }, /input\.q is an instance of Query, and can be awaited: await it/],
    [() => 5, /input is a function/],
    [{ s: "a\0b" }, /input\.s holds U\+0000, which Postgres cannot store/],
    [{ s: "a\ud800b" }, /input\.s holds half of a surrogate pair/],
    [{ s: ["\udc00"] }, /input\.s\[0\] holds half of a surrogate pair/],
    [{ x: { "k\0": 1 } }, /a key of input\.x holds U\+0000/],
    [
      {
        get secret(): string {
          throw new Error("no");
        },
      },
      /input\.secret throws when it is read: Error: no/,
    ],
    [
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error("no");
          },
        },
      ),
      /input cannot be read: Error: no/,
    ],
    [JSON.parse('{"a":{"__proto__":{"b":1}}}'), /input\.a\.__proto__ is a key that could change prototypes/],
    [{ constructor: { prototype: { a: 1 } } }, /input\.constructor is a key that could change prototypes/],
  ];
  for (const [value, message] of culprits) assert.match(problemOf(value), message);
});

test("a message begins with whose value it is", () => {
  assert.match(problemOf({ n: 1n }), /^task "t": input\.n is a bigint/);
});

test("a cycle is told by both of its ends", () => {
  const cycle: Record<string, unknown> = { list: [{}] };
  (cycle["list"] as unknown[])[1] = cycle;
  assert.match(problemOf({ a: cycle }), /input\.a\.list\[1\] is input\.a again: a cycle/);
});

test("the same object may stand at several places, when it is no cycle", () => {
  const shared = { a: 1 };
  assert.equal(toJson([shared, shared], place, LIMIT), '[{"a":1},{"a":1}]');
});

test("what unfolds without end is given up", () => {
  let value: unknown = 1;
  for (let level = 0; level < 90; level++) value = [value, value];
  assert.match(problemOf(value), /takes far more than the 262144 bytes of JSON that may travel/);
});

test("levels are counted, and the last allowed one is allowed", () => {
  const nested = (levels: number) => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = { a: value };
    return value;
  };
  assert.equal(toJson(nested(DEEPEST), place, LIMIT).length, DEEPEST * 6 + 1);
  assert.match(problemOf(nested(DEEPEST + 1)), /is deeper than 100 levels/);
});

test("what looks like a culprit and is none passes", () => {
  const innocent: unknown[] = [
    { path: "C:\\udata\\u0000", note: "the constructor of __proto__" },
    { constructor: "Acme", prototype: 5 },
    "\u{1F600} é",
    new Point(),
    Object.assign(Object.create(null), { a: 1 }),
    -0,
    { toJSON: "text" },
    [],
  ];
  for (const value of innocent) assert.equal(toJson(value, place, LIMIT), JSON.stringify(value));
});

test("objects of another realm are plain as well", () => {
  const value: unknown = runInContext("({ a: [1, { b: null }] })", createContext());
  assert.equal(toJson(value, place, LIMIT), '{"a":[1,{"b":null}]}');
  assert.match(problemOf(runInContext("({ at: new Date(0) })", createContext())), /input\.at is a Date/);
});

test("properties that are undefined are left out, and undefined itself is empty text", () => {
  assert.equal(toJson({ a: undefined, b: 1 }, place, LIMIT), '{"b":1}');
  assert.equal(toJson(undefined, place, LIMIT), "");
  assert.equal(fromJson("", place), undefined);
});

test("bytes are counted, and not characters", () => {
  assert.equal(toJson("éé", place, 6), '"éé"');
  assert.match(problemOf("ééé", 7), /The input of task "t" takes 8 bytes of JSON, and at most 7 may travel/);
  assert.match(problemOf("x".repeat(1_000_000)), /takes 1000002 bytes of JSON, and at most 262144 may travel/);
  assert.match(problemOf(Array.from({ length: 200_000 }, () => 1)), /takes 400001 bytes/);
});

test("whatever is given, it survives as JSON or is refused with the path of its culprit", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: true,
    withNullPrototype: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      try {
        const json = toJson(value, place, LIMIT);
        if (json !== "") assert.equal(toJson(fromJson(json, place), place, LIMIT), json);
      } catch (error) {
        assert.ok(isTasktrailError(error, "not_json"), String(error));
        assert.match(String(error.details["path"]), /^input/);
      }
    }),
    { numRuns: 2_000 },
  );
});

const wellFormed = fc
  .string({ unit: "grapheme", maxLength: 8 })
  .filter((text) => !text.includes("\0") && text !== "__proto__");
const { value: jsonValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    wellFormed,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(wellFormed, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test("what JSON can say comes back as it was", () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      const json = toJson(value, place, LIMIT);
      assert.equal(json, JSON.stringify(value));
      assert.deepEqual(fromJson(json, place), JSON.parse(json));
    }),
  );
});

test("a culprit is found wherever it is put", () => {
  const steps = fc.array(
    fc.oneof(
      fc.nat(3),
      wellFormed.filter((text) => text !== "constructor"),
    ),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(jsonValue, steps, fc.constantFrom(1n, Number.NaN, new Date(0), "\ud800"), (filling, way, culprit) => {
      const planted = way.reduceRight<unknown>(
        (inner, step) =>
          typeof step === "number" ? [...Array(step).fill(filling), inner] : { before: filling, [step]: inner },
        culprit,
      );
      const path = way.reduce<string>((trail, step) => pathTo(trail, step), "input");
      assert.throws(
        () => toJson(planted, place, LIMIT),
        (error: { details: { path: string } }) => error.details.path === path,
      );
    }),
  );
});

test("text that is no JSON is refused without being shown", () => {
  assert.throws(
    () => fromJson("{hunter2", place),
    (error: Error) => {
      assert.ok(isTasktrailError(error, "not_json"));
      return !`${error.message}${String(error.cause)}`.includes("hunter2");
    },
  );
});

test("keys that could change prototypes are refused when they are read, however they are written", () => {
  const texts = [
    '{"a":[{"__proto__":{"x":1}}]}',
    '{"a":[{"\\u005f_proto__":{"x":1}}]}',
    '{"constructor":{"prototype":{"x":1}}}',
    '{"c\\u006fnstructor":{"prototype":{"x":1}}}',
  ];
  for (const text of texts) assert.throws(() => fromJson(text, place), { code: "not_json" }, text);
  assert.deepEqual(fromJson('{"constructor":{"name":"x"},"s":"__proto__"}', place), {
    constructor: { name: "x" },
    s: "__proto__",
  });
});
