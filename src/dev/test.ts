// `npm test [-- FILTER... --NODE-TEST-OPTION...]`: the suite, on one private Redis and one private Postgres.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openTestServers } from "./servers.ts";
import { testFiles } from "./test-files.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const options = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const files = testFiles(root, filters, ["unit", "live", "crash"]);

if (files.length === 0) {
  console.error(`No test file matches ${filters.join(" ")}.`);
  process.exit(66);
}
process.exitCode = await runTests();

async function runTests(): Promise<number> {
  await using servers = await openTestServers();
  const { REDIS_URL: _r, DATABASE_URL: _d, ...rest } = process.env;
  const env = {
    ...rest,
    TASKTRAIL_TEST_REDIS_URL: servers.redis.url,
    TASKTRAIL_TEST_DATABASE_URL: servers.postgres.url,
  };
  const flags = ["--test", "--test-concurrency=3", "--test-timeout=300000", ...options];
  const child = spawn(process.execPath, [...process.execArgv, ...flags, ...files], {
    cwd: root,
    env,
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}
