// Runs one of the project's TypeScript programs on the Node it wants, on a machine that has had no set-up.
//
//   node src/dev/setup.mjs src/dev/start.ts --for 20s
//
// It must work on Node 20 with an empty checkout, so it is plain JavaScript and imports nothing but Node.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { InstallFailed, install, nodeBinary } from "./install.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const [program, ...args] = process.argv.slice(2);

if (program === undefined) {
  console.error("usage: node src/dev/setup.mjs PROGRAM.ts [arguments]");
  process.exit(64);
}

try {
  await install(root);
  run(nodeBinary(root), [...loaderFlags(program), resolve(root, program), ...args]);
} catch (error) {
  if (!(error instanceof InstallFailed)) throw error;
  console.error(`\n${error.message}`);
  process.exit(69);
}

/**
 * Absolute addresses, so that the program may run in any folder. Benchmarks and the crash ladder run on Node's own type stripping:
 * tsx wraps every function that is made in a call that names it, which halves the speed of code that makes many. So does the check, which
 * is to be quick: loading its tests takes a third less.
 */
function loaderFlags(program) {
  const tether = new URL("./tether.mjs", import.meta.url).href;
  const tsx = pathToFileURL(resolve(root, "node_modules/tsx/dist/loader.mjs")).href;
  const isTimed = ["test/bench/", "test/crash/", "src/dev/check.ts"].some((path) => program.startsWith(path));
  const loader = isTimed ? [] : ["--import", tsx];
  return ["--conditions=tasktrail-source", "--import", tether, ...loader];
}

/** Runs the program in our place: its signals, its output, its exit code. */
function run(node, argv) {
  const child = spawn(node, argv, { stdio: "inherit", cwd: root });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  // When npm itself is killed with -9 nobody tells us: the tether notices, and the signal goes on to the program.
  if (process.env.npm_lifecycle_event !== undefined) import("./tether.mjs");
  child.on("error", (error) => {
    console.error(`Cannot run ${node}: ${error.message}`);
    process.exit(70);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
}
