import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { root } from "../../support/modules.ts";
import { type Program, runProgram, runScript, scratchFolder } from "../../support/programs.ts";
import { eventually } from "../../support/servers.ts";

const write = (file: string, text: string) => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

test("a program runs on Node 24 with its arguments, and its exit code comes back", async () => {
  const file = write(
    join(scratchFolder(), "program.ts"),
    "const [a, b]: string[] = process.argv.slice(2);\nconsole.log(process.versions.node, a, b);\nprocess.exitCode = 7;\n",
  );
  const program = runProgram(file, ["one", "two words"]);
  assert.equal(await program.ended, 7, program.output());
  assert.match(program.output(), /^24\.\d+\.\d+ one two words\n$/);
});

test("a signal reaches the program, which decides", async () => {
  const file = write(
    join(scratchFolder(), "program.ts"),
    "process.on('SIGTERM', () => process.exit(5));\nsetInterval(() => {}, 1000);\nconsole.log('up');\n",
  );
  const program = runProgram(file);
  await eventually(() => program.output().includes("up"));
  program.child.kill("SIGTERM");
  assert.equal(await program.ended, 5);
});

/** A checkout whose npm only writes down that it was called, and brings what a program needs to start. */
function checkout({ npm = "bring();" } = {}) {
  const folder = scratchFolder("checkout");
  for (const file of ["setup.mjs", "install.mjs", "tether.mjs"]) {
    cpSync(join(root, "src/dev", file), join(folder, "src/dev", file));
  }
  const lock = (version: string) =>
    write(join(folder, "package-lock.json"), JSON.stringify({ packages: { "": {}, "node_modules/tsx": { version } } }));
  const bring = (version: string) => {
    write(join(folder, "node_modules/tsx/dist/loader.mjs"), "");
    write(
      join(folder, "node_modules/.package-lock.json"),
      JSON.stringify({ packages: { "node_modules/tsx": { version } } }),
    );
    mkdirSync(join(folder, "node_modules/node/bin"), { recursive: true });
    rmSync(join(folder, "node_modules/node/bin/node"), { force: true });
    symlinkSync(process.execPath, join(folder, "node_modules/node/bin/node"));
  };
  lock("1.0.0");
  write(join(folder, "program.mjs"), "console.log('ran');\n");
  const cli = write(
    join(folder, "npm-cli.cjs"),
    `const fs = require("node:fs"); const { join } = require("node:path");
    fs.appendFileSync(${JSON.stringify(join(folder, "calls"))}, process.argv.slice(2).join(" ") + "\\n");
    function bring() {
      const modules = join(process.cwd(), "node_modules");
      fs.mkdirSync(join(modules, "tsx/dist"), { recursive: true });
      fs.writeFileSync(join(modules, "tsx/dist/loader.mjs"), "");
      fs.mkdirSync(join(modules, "node/bin"), { recursive: true });
      fs.rmSync(join(modules, "node/bin/node"), { force: true });
      fs.symlinkSync(${JSON.stringify(process.execPath)}, join(modules, "node/bin/node"));
    }
    ${npm}`,
  );
  const run = (): Program =>
    runScript(join(folder, "src/dev/setup.mjs"), ["program.mjs"], { npm_execpath: cli, NODE_ENV: "production" });
  const calls = () =>
    existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").split("\n").length - 1 : 0;
  return { folder, lock, bring, run, calls };
}

test("packages are installed once, dev dependencies too, however many programs start at the same time", async () => {
  const { folder, run, calls } = checkout();
  const programs = [run(), run(), run()];
  for (const program of programs) {
    assert.equal(await program.ended, 0, program.output());
    assert.match(program.output(), /ran/);
  }
  assert.equal(await run().ended, 0);
  assert.equal(calls(), 1);
  assert.match(readFileSync(join(folder, "calls"), "utf8"), /^ci --include=dev /);
});

test("packages that somebody has installed by hand are taken as they are; a changed lock file is followed", async () => {
  const { lock, bring, run, calls } = checkout();
  bring("1.0.0");
  assert.equal(await run().ended, 0);
  assert.equal(calls(), 0);
  lock("2.0.0");
  assert.equal(await run().ended, 0);
  assert.equal(calls(), 1);
});

test("a failed installation ends with 69 and what npm said, and leaves no lock", async () => {
  const { folder, run } = checkout({ npm: "console.error('npm error network is gone'); process.exit(1);" });
  const program = run();
  assert.equal(await program.ended, 69);
  assert.match(program.output(), /could not be installed[\s\S]*network is gone[\s\S]*same command again/);
  assert.equal(existsSync(join(folder, ".tasktrail/install.lock")), false);
});

test("a lock whose owner died is passed over", async () => {
  const { folder, run } = checkout();
  const dead = runScript("-e", ["0"]);
  await dead.ended;
  write(join(folder, ".tasktrail/install.lock"), String(dead.child.pid));
  const program = run();
  assert.equal(await program.ended, 0, program.output());
});
