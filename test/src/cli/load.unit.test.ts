import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { CliError } from "../../../src/cli/failure.ts";
import { loadApplication, requireTasks } from "../../../src/cli/load.ts";
import { application as project } from "./application.ts";

const plain = "import { createBroker } from TASKTRAIL;\nexport const broker = createBroker();\n";
const refused = (app: string, cwd: string, expected: RegExp, modules?: readonly string[]) =>
  assert.rejects(loadApplication({ app, cwd, ...(modules === undefined ? {} : { modules }) }), (error) => {
    assert.ok(error instanceof CliError);
    assert.match(`${error.message}\n${error.advice ?? ""}`, expected);
    assert.equal(error.exitCode, 78);
    return true;
  });

test("the export named broker is the application's", async () => {
  const cwd = project({ "app.ts": `${plain}export const other = createBroker();` });
  const { broker: found, files } = await loadApplication({ app: "./app.ts", cwd });
  assert.ok(found);
  assert.deepEqual(files, [join(cwd, "app.ts")]);
});

test("a path may leave its extension out", async () => {
  await loadApplication({ app: "app", cwd: project({ "app.ts": plain }) });
});

test("the only broker is taken under any name, and the default export before others", async () => {
  const only = project({ "app.ts": "import { createBroker } from TASKTRAIL;\nexport const jobs = createBroker();" });
  await loadApplication({ app: "app.ts", cwd: only });
  const byDefault = project({
    "app.ts":
      "import { createBroker } from TASKTRAIL;\nexport const a = createBroker();\nexport default createBroker();",
  });
  await loadApplication({ app: "app.ts", cwd: byDefault });
});

test("of several brokers one has to be named", async () => {
  const cwd = project({
    "app.ts":
      "import { createBroker } from TASKTRAIL;\nexport const a = createBroker();\nexport const b = createBroker();",
  });
  await refused("app.ts", cwd, /several brokers: a, b\.\nName one: app\.ts#a/);
  await loadApplication({ app: "app.ts#b", cwd });
});

test("an export that is not there, or is no broker, is told with those that are", async () => {
  const cwd = project({ "app.ts": `${plain}export const size = 3;` });
  await refused("app.ts#brokr", cwd, /no export "brokr"; it exports broker, size\. Did you mean "broker"\?/);
  await refused("app.ts#size", cwd, /"size" of app\.ts is no broker; it exports broker, size/);
});

test("a module without a broker is told what to export", async () => {
  await refused(
    "app.ts",
    project({ "app.ts": "export const a = 1;" }),
    /exports no broker; it exports a\.\nExport what/,
  );
});

test("a path that leads nowhere is told with the nearest file", async () => {
  const cwd = project({ "tasks.ts": plain });
  await refused("task.ts", cwd, /There is no module task\.ts: looked for .*task\.ts\. Did you mean "tasks\.ts"\?/);
  await refused("no/where.ts", cwd, /there is no folder/);
});

test("what a module throws is told by its first line and its place", async () => {
  const cwd = project({ "app.ts": '\nthrow new Error("no config\\nmore of it");' });
  await refused("app.ts", cwd, /app\.ts could not be imported: Error: no config\n {2}at \/.*app\.ts:2:/);
});

test("TypeScript that Node cannot run goes through the project's own tsx", async () => {
  const cwd = project({
    "app.ts": 'import { broker } from "./base";\nenum Size { Small }\nexport { broker, Size };',
    "base.ts": plain,
  });
  await loadApplication({ app: "app.ts", cwd });
});

test("a package that is missing is told as such, also after tsx was tried", async () => {
  await refused("app.ts", project({ "app.ts": 'import "not-installed";' }), /Cannot find package 'not-installed'/);
});

test("further modules may be named by globs, and declare tasks on the same broker", async () => {
  const task = (name: string) =>
    `import { broker } from "../app.ts";\nbroker.task({ name: "${name}", async run() {} });`;
  const cwd = project({ "app.ts": plain, "tasks/a.ts": task("a"), "tasks/b.ts": task("b"), "tasks/c.d.ts": "!" });
  const application = await loadApplication({ app: "app.ts", modules: ["tasks/*.ts"], cwd });
  assert.deepEqual(
    application.engine.records.map(({ name }) => name),
    ["a", "b"],
  );
  requireTasks(application, "task");
  assert.throws(() => requireTasks(application, "cron"), /No cron is declared on the broker of app\.ts, in 3 modules/);
});

test("a glob that matches nothing is told", async () => {
  await refused("app.ts", project({ "app.ts": plain }), /No module matches tasks\/\*\.ts/, ["tasks/*.ts"]);
});

test("an application without tasks is refused", async () => {
  const application = await loadApplication({ app: "app.ts", cwd: project({ "app.ts": plain }) });
  assert.throws(
    () => requireTasks(application, "task"),
    /No task is declared on the broker of app\.ts, in that module/,
  );
});

test("a broker of CommonJS is found among the properties of its exports", async () => {
  const cwd = project({
    "package.json": "{}",
    "app.cjs":
      "module.exports = (() => { const { createBroker } = require(TASKTRAIL); return { jobs: createBroker() }; })();",
  });
  await loadApplication({ app: "app.cjs", cwd });
});
