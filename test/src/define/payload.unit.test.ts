import assert from "node:assert/strict";
import { test } from "node:test";
import { type } from "arktype";
import fc from "fast-check";
import * as v from "valibot";
import { z } from "zod";
import * as mini from "zod/mini";
import * as zod3 from "zod/v3";
import { decodeInput, decodeResult, encodeEvent, encodeInput, encodeResult } from "../../../src/define/payload.ts";
import { type AnySchema, unchecked } from "../../../src/define/schema.ts";
import type { TopicRecord } from "../../../src/define/topic.ts";
import { topic } from "../../../src/define/topic.ts";
import { isTasktrailError } from "../../../src/errors.ts";

const LIMIT = 262_144;
const task = (input?: AnySchema, output?: AnySchema) => ({ name: "t", input, output });
const isoDate = z.codec(z.iso.datetime(), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

/** What a handler sees of an input, and what travelled. */
async function trip(schema: AnySchema | undefined, value: unknown): Promise<{ json: string; seen: unknown }> {
  const { json } = await encodeInput(task(schema), value, LIMIT);
  return { json, seen: (await decodeInput(task(schema), json)).value };
}

test("unknown keys stay behind, and defaults travel", async () => {
  const { json, seen } = await trip(z.object({ id: z.string(), width: z.int().default(100) }), {
    id: "a",
    password: "hunter2",
  });
  assert.equal(json, '{"id":"a","width":100}');
  assert.deepEqual(seen, { id: "a", width: 100 });
});

test("unknown keys stay behind with other libraries too", async () => {
  const value = { id: "a", password: "hunter2" };
  const schemas = [
    v.object({ id: v.string() }),
    mini.object({ id: mini.string() }),
    zod3.object({ id: zod3.string() }),
    type({ "+": "delete", id: "string" }),
  ];
  for (const schema of schemas) assert.equal((await trip(schema, value)).json, '{"id":"a"}');
});

test("a codec's encoded side travels, and its decoded side is seen", async () => {
  const { json, seen } = await trip(z.object({ at: isoDate }), { at: "2026-01-01T00:00:00Z", extra: 1 });
  assert.equal(json, '{"at":"2026-01-01T00:00:00.000Z"}');
  assert.deepEqual(seen, { at: new Date("2026-01-01T00:00:00Z") });
});

test("where a schema goes one way, the value travels as it was given, and is transformed once", async () => {
  const date = z.object({ at: z.iso.datetime().transform((text) => new Date(text)) });
  assert.equal((await trip(date, { at: "2026-01-01T00:00:00Z" })).json, '{"at":"2026-01-01T00:00:00Z"}');
  const double = z.object({ n: z.number().transform((n) => n * 2) });
  assert.deepEqual(await trip(double, { n: 4 }), { json: '{"n":4}', seen: { n: 8 } });
  const viaValibot = v.object({ n: v.pipe(v.string(), v.transform(Number)) });
  assert.deepEqual(await trip(viaValibot, { n: "4" }), { json: '{"n":"4"}', seen: { n: 4 } });
  assert.deepEqual((await trip(z.object({ at: z.coerce.date() }), { at: "2026-01-01" })).seen, {
    at: new Date("2026-01-01"),
  });
});

test("whatever travels, the handler sees what parsing the input gives", async () => {
  const schemas = [
    z.object({ a: z.string().trim(), b: z.number().optional(), c: z.array(isoDate).default([]) }),
    z.object({ a: z.string().transform((text) => text.length), b: z.coerce.string() }),
    z.looseObject({ a: z.string().toUpperCase() }),
    z.record(z.string(), z.union([z.string(), z.number().transform((n) => `${n}`), z.undefined()])),
    z.object({ a: z.string().catch("c") }),
    z.object({ a: z.preprocess((given) => String(given), z.string()) }),
  ];
  const inputs = fc.dictionary(
    fc.constantFrom("a", "b", "c", "d"),
    fc.oneof(fc.string(), fc.integer(), fc.constant([])),
    { noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...schemas), inputs, async (schema: AnySchema, input) => {
      const parsed = await schema["~standard"].validate(input);
      if (parsed.issues !== undefined) return;
      assert.deepEqual((await trip(schema, input)).seen, parsed.value);
    }),
    { numRuns: 500 },
  );
});

test("synchronous schemas make no promise", () => {
  const schemas = [
    z.object({ at: isoDate }),
    z.object({ n: z.string().transform(Number) }),
    v.object({ n: v.string() }),
    unchecked(),
  ];
  for (const schema of schemas) {
    const encoded = encodeInput(task(schema), { at: "2026-01-01T00:00:00Z", n: "5" }, LIMIT);
    assert.ok(!(encoded instanceof Promise));
    assert.ok(!(decodeInput(task(schema), encoded.json) instanceof Promise));
  }
});

test("asynchronous schemas are waited for", async () => {
  const refined = z.object({ id: z.string().refine(async (id) => id !== "bad") });
  assert.ok(encodeInput(task(refined), { id: "a" }, LIMIT) instanceof Promise);
  assert.equal((await trip(refined, { id: "a", extra: 1 })).json, '{"id":"a"}');
  await assert.rejects(trip(refined, { id: "bad" }), { code: "invalid_input" });
  const codec = z.object({
    n: z.codec(z.string(), z.number(), { decode: async (text) => Number(text), encode: async (n) => `${n}` }),
  });
  assert.deepEqual(await trip(codec, { n: "5", extra: 1 }), { json: '{"n":"5"}', seen: { n: 5 } });
  assert.deepEqual((await trip(v.objectAsync({ id: v.string() }), { id: "a", extra: 1 })).json, '{"id":"a"}');
});

test("what does not fit is listed by path, without its values", async () => {
  const nested = z.object({ rows: z.array(z.object({ "e-mail": z.email() })), pin: z.string() });
  await assert.rejects(
    trip(nested, { rows: [{ "e-mail": "a@b.co" }, { "e-mail": "hunter2" }], pin: 5 }),
    (error: unknown) => {
      assert.ok(isTasktrailError(error, "invalid_input"));
      assert.match(
        error.message,
        /^The input of task "t" does not fit its schema:\n {2}input\.rows\[1\]\["e-mail"\]: Invalid email/,
      );
      assert.deepEqual(
        (error.details["issues"] as { path: string }[]).map(({ path }) => path),
        ['input.rows[1]["e-mail"]', "input.pin"],
      );
      return !error.message.includes("hunter2");
    },
  );
  for (const schema of [
    v.object({ m: v.pipe(v.string(), v.email()) }),
    type({ m: "string.email" }),
    v.object({ m: v.literal("a") }),
  ]) {
    await assert.rejects(
      trip(schema, { m: "hunter2" }),
      (error: Error) => /input\.m: /.test(error.message) && !error.message.includes("hunter2"),
    );
  }
});

test("a long list of misfits is cut in the message, and whole in the details", async () => {
  await assert.rejects(trip(z.array(z.string()), Array(25).fill(5)), (error: unknown) => {
    assert.ok(isTasktrailError(error, "invalid_input"));
    assert.match(error.message, /… and 15 more$/);
    return (error.details["issues"] as unknown[]).length === 25;
  });
});

test("a task without input takes none, and lets pass what an older producer sends", async () => {
  assert.deepEqual(await trip(undefined, undefined), { json: "", seen: undefined });
  await assert.rejects(async () => trip(undefined, { a: 1 }), /input: this task takes none/);
  assert.deepEqual(decodeInput(task(), '{"a":1}'), { value: undefined });
});

test("an input that may be undefined travels as nothing", async () => {
  assert.deepEqual(await trip(z.string().optional(), undefined), { json: "", seen: undefined });
  assert.deepEqual(await trip(z.string().default("x"), undefined), { json: '"x"', seen: "x" });
});

test("an unchecked input is checked for JSON alone", async () => {
  assert.deepEqual(await trip(unchecked(), { any: ["thing"] }), {
    json: '{"any":["thing"]}',
    seen: { any: ["thing"] },
  });
  await assert.rejects(async () => trip(unchecked(), { at: new Date() }), /input\.at is a Date/);
});

test("a body that cannot be read is no JSON, and one that does not fit is invalid", () => {
  const schema = task(z.object({ a: z.string() }));
  assert.throws(() => decodeInput(schema, "{"), { code: "not_json" });
  assert.throws(() => decodeInput(schema, '{"a":5}'), { code: "invalid_input" });
  assert.throws(() => decodeInput(schema, ""), { code: "invalid_input" });
});

test("too much is refused on either side", () => {
  assert.throws(() => encodeInput(task(z.string()), "x".repeat(50), 40), { code: "too_large" });
  assert.throws(() => encodeResult(task(), "x".repeat(50), 40), /The result of task "t" takes 52 bytes/);
});

test("a result crosses JSON, and a contract's output is checked and transformed", async () => {
  assert.deepEqual(await encodeResult(task(), { a: [1] }, LIMIT), { json: '{"a":[1]}', value: { a: [1] } });
  assert.equal((await encodeResult(task(), undefined, LIMIT)).json, "");
  assert.throws(() => encodeResult(task(), { n: 1n }, LIMIT), /result\.n is a bigint/);
  const graded = task(
    undefined,
    z.object({ mark: z.enum(["a", "b"]), at: z.iso.datetime().transform((text) => new Date(text)) }),
  );
  const { json } = await encodeResult(graded, { mark: "a", at: "2026-01-01T00:00:00Z" }, LIMIT);
  assert.deepEqual((await decodeResult(graded, json)).value, { mark: "a", at: new Date("2026-01-01T00:00:00Z") });
  assert.throws(() => encodeResult(graded, { mark: "c", at: "" }, LIMIT), {
    code: "invalid_result",
    message: /output of its contract:\n {2}result\.mark: /,
  });
  assert.deepEqual((await decodeResult(undefined, '{"a":1}')).value, { a: 1 });
});

test("an event's data is checked at once", () => {
  const created = topic("user.created", z.object({ id: z.string() })) as unknown as TopicRecord;
  assert.equal(encodeEvent(created, { id: "a", extra: 1 }, LIMIT).json, '{"id":"a"}');
  assert.throws(() => encodeEvent(created, { id: 5 }, LIMIT), /data\.id: /);
  const slow = topic("slow", z.object({ id: z.string().refine(async () => false) })) as unknown as TopicRecord;
  assert.throws(() => encodeEvent(slow, { id: "a" }, LIMIT), /topic "slow" has an asynchronous schema/);
});
