import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { promisify } from "node:util";
import { root } from "./support/modules.ts";
import { runProgram, scratchFolder } from "./support/programs.ts";
import { testRedis } from "./support/servers.ts";

const exec = promisify(execFile);
const node = process.execPath;
const bin = (name: string) => join(root, "node_modules", name);
const out = scratchFolder("package");
let tarball: string;
let manifest: { exports: Record<string, Record<string, string>>; dependencies: Record<string, string> };

before(async () => {
  const program = runProgram("src/dev/package.ts", ["--out", out]);
  assert.equal(await program.ended, 0, program.output());
  tarball = join(out, readdirSync(out).find((name) => name.endsWith(".tgz")) as string);
  await exec("tar", ["-xzf", tarball, "-C", out]);
  manifest = JSON.parse(readFileSync(join(out, "package/package.json"), "utf8"));
});

/** A project that has the tarball installed, with these packages and nothing else. */
function consumer(packages = [...Object.keys(manifest.dependencies), "@types/node"]): string {
  const folder = scratchFolder("consumer");
  cpSync(join(out, "package"), join(folder, "node_modules/tasktrail"), { recursive: true });
  for (const name of packages) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  cpSync(join(root, "test/examples/first-task.ts"), join(folder, "first-task.ts"));
  return folder;
}

test("the package holds what it exports, and neither sources nor tests", async () => {
  const files = readdirSync(join(out, "package"), { recursive: true }) as string[];
  const foreign = files.filter((name) => /(^|\/)(test|dev|node_modules)(\/|$)|[^d]\.ts$|\.tsbuildinfo$/.test(name));
  assert.deepEqual(foreign, []);
  for (const conditions of Object.values(manifest.exports)) {
    for (const target of typeof conditions === "string" ? [conditions] : Object.values(conditions)) {
      assert.ok(files.includes(target.slice(2)), target);
    }
  }
  const scripts = (folder: string) => readdirSync(join(folder, "streams/scripts"), { recursive: true }).sort();
  assert.deepEqual(scripts(join(out, "package/dist")), scripts(root));
});

test("publint and attw find no fault with it", async () => {
  await exec(node, [bin("publint/src/cli.js"), "run", tarball, "--strict"]);
  await exec(node, [bin("@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "esm-only", "--no-emoji"]);
});

test("the first task of the manual runs where the package is installed", async () => {
  const env = { ...process.env, REDIS_URL: await testRedis(), NODE_OPTIONS: "" };
  const { stdout } = await exec(node, ["first-task.ts"], { cwd: consumer(), env });
  assert.equal(stdout, "Hello, Ada\n");
});

test("its types compile in the oldest and the newest TypeScript that are supported", async () => {
  const folder = consumer();
  const flags =
    "--noEmit --strict --exactOptionalPropertyTypes --target es2024 --lib esnext --module nodenext --types node";
  for (const compiler of ["ts59/lib/tsc.js", "typescript/bin/tsc"]) {
    await exec(node, [bin(compiler), ...flags.split(" "), "first-task.ts"], { cwd: folder }).catch((error) => {
      assert.fail(`${compiler}:\n${error.stdout}${error.stderr}`);
    });
  }
});

const exportCount = async (specifier: string, cwd: string) => {
  const script = `import("${specifier}").then((exports) => console.log(Object.keys(exports).length))`;
  return Number((await exec(node, ["-e", script], { cwd })).stdout);
};

test("every entry of the package loads", async () => {
  const folder = consumer();
  for (const name of Object.keys(manifest.exports).filter((one) => one !== "./package.json")) {
    assert.ok((await exportCount(`tasktrail${name.slice(1)}`, folder)) > 0, name);
  }
});

test("contracts load where no other package is installed", async () => {
  assert.ok((await exportCount("tasktrail/contract", consumer([]))) > 0);
});
