import assert from "node:assert/strict";
import { test } from "node:test";
import * as rules from "./support/architecture.ts";
import { parseModule, readModules } from "./support/modules.ts";

const house = readModules(["{src,streams,projections,sql,otel}/**/*.ts"]);
const tests = readModules(["test/**/*.ts"]);
const holds = (rule: rules.Rule, modules = house) => assert.deepEqual(rule(modules), []);

test("every part of the house imports only what it may know", () => holds(rules.layering));
test("every part of the house knows only its own packages", () => holds(rules.packages));
test("no imports go in a circle", () => holds(rules.circles));
test("src/index.ts is the only barrel", () => holds(rules.barrels));
test("relative imports name the file", () => holds(rules.extensions, [...house, ...tests]));
test("file names say what is in them", () => holds(rules.names, [...house, ...tests]));
test("no file holds more than one subject", () => holds(rules.size));
test("there are functions and types, classes for errors and for what each run is made into, no enums and no default exports", () =>
  holds(rules.shapes));
test("every export is documented", () => holds(rules.docs));
test("Redis keys are spelt in one file", () => holds(rules.keys));
test("a contract loads nothing but our own files", () => holds(rules.contractIsLight));
test("every test says its kind", () => holds(rules.testKinds, tests));

// Each rule is shown something that breaks it: a rule that cannot fail would guard nothing.
const breaches: [keyof typeof rules, Record<string, string>, RegExp][] = [
  ["layering", { "streams/a.ts": 'import type { B } from "../src/b.ts";' }, /streams\/ may not know/],
  ["layering", { "sql/a.ts": 'export { b } from "../streams/b.ts";' }, /sql\/ may not know/],
  ["layering", { "projections/a.ts": 'import "../src/b.ts";' }, /projections\/ may not know/],
  ["layering", { "src/worker.ts": 'const a = await import("../otel/a.ts");' }, /core may not know/],
  ["layering", { "src/worker.ts": 'import "../projections/a.ts";' }, /core may not know/],
  ["layering", { "src/worker.ts": 'import "../sql/a.ts";' }, /core may not know/],
  ["layering", { "src/define/a.ts": 'type A = import("../dev/b.ts").B;' }, /core may not know/],
  ["layering", { "otel/a.ts": 'import "../src/worker.ts";' }, /otel\/ may not know/],
  ["packages", { "sql/a.ts": 'import type { Redis } from "ioredis";' }, /not its business/],
  ["packages", { "streams/a.ts": 'import { sql } from "slonik";' }, /not its business/],
  ["packages", { "src/a.ts": 'import { trace } from "@opentelemetry/api";' }, /not its business/],
  ["packages", { "otel/a.ts": 'import { NodeSDK } from "@opentelemetry/sdk-node";' }, /not its business/],
  ["packages", { "src/deps.ts": 'import { pino } from "pino";' }, /first use/],
  [
    "circles",
    { "src/a.ts": 'import "./b.ts";', "src/b.ts": 'import type { C } from "./c.ts";', "src/c.ts": 'import "./a.ts";' },
    /src\/a.ts -> src\/b.ts -> src\/c.ts -> src\/a.ts is a circle/,
  ],
  ["barrels", { "src/define/all.ts": 'export { a } from "./a.ts";' }, /barrel/],
  ["barrels", { "streams/index.ts": "export const a = 1;" }, /barrel/],
  ["barrels", { "src/deps.ts": 'export * from "./a.ts"; export const b = 1;' }, /barrel/],
  ["extensions", { "src/a.ts": 'import "./b.js";' }, /without its .ts/],
  ["names", { "src/define/utils.ts": "" }, /says nothing/],
  ["names", { "src/helpers/a.ts": "" }, /says nothing/],
  ["names", { "src/someThing.ts": "" }, /kebab/],
  ["size", { "src/a.ts": "a();\n".repeat(261) }, /261 lines/],
  ["shapes", { "src/a.ts": "export default 1;" }, /default export/],
  ["shapes", { "src/a.ts": "export default function a() {}" }, /default export/],
  ["shapes", { "src/a.ts": "const a = 1; export { a as default };" }, /default export/],
  ["shapes", { "src/a.ts": "enum A { B }" }, /enum A/],
  ["shapes", { "src/a.ts": "class A {}" }, /class A/],
  ["shapes", { "src/a.ts": "class A implements B { go() {} }" }, /class A/],
  ["shapes", { "src/a.ts": "class A extends EventEmitter {}" }, /class A/],
  ["shapes", { "src/a.ts": "/** Of a class. */\nclass A extends EventEmitter implements B {}" }, /class A/],
  ["docs", { "src/a.ts": "export const a = 1;" }, /exports a without/],
  ["docs", { "src/a.ts": "const a = 1; export { a };" }, /exports a without/],
  ["docs", { "src/a.ts": "// not a doc comment\nexport type A = 1;" }, /exports A without/],
  ["keys", { "src/a.ts": `const key = \`\${lane}:tasks\`;` }, /Redis key/],
  ["keys", { "streams/a.ts": 'const key = "{ns:queue}" + name;' }, /Redis key/],
  [
    "contractIsLight",
    { "src/contract.ts": 'import "./a.ts";', "src/a.ts": 'import { Redis } from "ioredis";' },
    /leads there/,
  ],
  ["testKinds", { "test/a.test.ts": "" }, /kind/],
  ["testKinds", { "test/src/a.unit.test.ts": 'import "../support/servers.ts";' }, /asks for a server/],
];

const byName = { ...rules };
for (const [rule, files, expected] of breaches) {
  test(`the rule of ${rule} notices ${Object.values(files)[0]?.slice(0, 60).replaceAll("\n", " ") || Object.keys(files)[0]}`, () => {
    const found = byName[rule](Object.entries(files).map(([path, text]) => parseModule(path, text)));
    assert.match(found.join("\n"), expected);
  });
}

test("the rules let pass what is right", () => {
  const right = {
    "src/a.ts": '/** Says why. */\nexport class OddError extends TasktrailError {}\nimport type { B } from "./b.ts";',
    "src/b.ts":
      'import { c } from "../streams/c.ts";\n/** One. */\nexport function b(): void;\nexport function b(): void {}',
    "src/projector.ts": 'import "../projections/a.ts";',
    "src/deps.ts":
      'import type { DatabasePool } from "slonik";\nimport "../sql/pool.ts";\nconst s = await import("slonik");',
    "src/cli/main.ts": 'import "../../otel/a.ts";\nimport "../dev/b.ts";',
    "src/contract.ts": 'import type { Redis } from "ioredis";',
    "otel/a.ts": 'import "../src/middleware.ts";\nimport { trace } from "@opentelemetry/api";',
    "streams/keys.ts": `const key = \`\${lane}:tasks\`;`,
  };
  const modules = Object.entries(right).map(([path, text]) => parseModule(path, text));
  for (const rule of Object.values(rules)) assert.deepEqual(rule(modules), []);
});
