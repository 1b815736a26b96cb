import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cleanText, fingerprint, recordError } from "../../../src/execute/recorded-error.ts";
import { recordedError } from "../../../streams/event-schemas.ts";
import { anyText } from "../../support/texts.ts";

test("an error is recorded with its type, message, stack and code", () => {
  const error = Object.assign(new TypeError("it broke"), { code: "E_BROKEN" });
  const recorded = recordError(error);
  assert.equal(recorded.type, "TypeError");
  assert.equal(recorded.message, "it broke");
  assert.equal(recorded.code, "E_BROKEN");
  assert.match(recorded.stack ?? "", /TypeError: it broke\n/);
  assert.equal(recorded.truncated, undefined);
});

test("what the system reports is told apart by its code", () => {
  assert.equal(recordError(Object.assign(new Error("connect"), { code: "ECONNREFUSED" })).type, "ECONNREFUSED");
});

test("causes are shown, and a circle of them ends", () => {
  const inner = new Error("inner");
  const outer = new Error("outer", { cause: inner });
  inner.cause = outer;
  const { stack } = recordError(outer);
  assert.equal(stack?.split("caused by: ").length, 2);
});

test("what is too long is cut, and says so", () => {
  const recorded = recordError(new Error("ü".repeat(5_000_000)));
  assert.equal(recorded.truncated, true);
  assert.ok(Buffer.byteLength(recorded.message) <= 8_192);
  assert.ok(Buffer.byteLength(recorded.stack ?? "") <= 16_384);
  assert.doesNotMatch(recorded.message, /\ufffd/);
});

test("errors that differ in numbers, ids, paths and names have one fingerprint", () => {
  const groups = [
    ["no user 15", "no user 7"],
    ["run 01890f5e-0000-7000-8000-000000000001 is gone", "run 01890f5e-aaaa-7000-8000-00000000000f is gone"],
    ["cannot open /tmp/a/b.txt", "cannot open /var/c.txt"],
    ['no column "name"', 'no column "email"'],
  ];
  for (const [one = "", two = ""] of groups) assert.equal(fingerprint("Error", one), fingerprint("Error", two));
  assert.notEqual(fingerprint("Error", "no user"), fingerprint("Error", "no group"));
  assert.notEqual(fingerprint("TypeError", "no user"), fingerprint("Error", "no user"));
});

test("anything at all that is thrown is recorded, within its bounds, and can be stored", () => {
  const hostile = fc.constantFrom(
    {
      get message() {
        throw new Error();
      },
    },
    {
      get name() {
        throw new Error();
      },
      message: 5,
    },
    new Proxy(
      {},
      {
        get: () => {
          throw new Error();
        },
        getPrototypeOf: () => {
          throw new Error();
        },
      },
    ),
    Proxy.revocable({}, {}).proxy,
    Object.create(null),
    class {},
    Symbol("s"),
    10n,
  );
  const text = anyText({ maxLength: 300 });
  const odd = fc.record({ name: text, message: text, stack: text, code: fc.oneof(text, fc.integer()) });
  fc.assert(
    fc.property(fc.oneof(fc.anything(), hostile, odd, text), (thrown) => {
      const recorded = recordedError.parse(recordError(thrown));
      for (const value of Object.values(recorded).map(String))
        assert.ok(value.isWellFormed() && !value.includes("\0"), JSON.stringify(value));
      assert.notEqual(recorded.type, "");
    }),
    { numRuns: 2_000 },
  );
});

test("text is cut between characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 0, max: 50 }), (text, most) => {
      const cut = cleanText(text, most);
      assert.ok(Buffer.byteLength(cut) <= most);
      assert.ok(cut.isWellFormed());
    }),
  );
});
