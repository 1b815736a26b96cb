// `npm test [-- FILTER... --NODE-TEST-OPTION...]`: the suite, on one private Redis and one private Postgres.
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { program } from "./program.ts";
import { root, run } from "./run.ts";
import { openTestServers } from "./servers.ts";
import { testFiles } from "./test-files.ts";

const options = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const files = testFiles(root, filters, ["unit", "live", "crash"]);

if (files.length === 0) {
  console.error(`No test file matches ${filters.join(" ")}.`);
  process.exit(66);
}
await program(runTests);

async function runTests(): Promise<number> {
  await using servers = files.every((file) => file.includes(".unit.")) ? undefined : await openTestServers();
  const { REDIS_URL: _redis, DATABASE_URL: _database, ...env } = process.env;
  if (servers !== undefined) {
    env.TASKTRAIL_TEST_REDIS_URL = servers.redis.url;
    env.TASKTRAIL_TEST_DATABASE_URL = servers.postgres.url;
  }
  env.NODE_COMPILE_CACHE ??= join(cacheFolder(), "compiled"); // most of what a process needs to start has been compiled by another
  const test = async (chosen: readonly string[], ...flags: readonly string[]) => {
    if (chosen.length === 0) return 0;
    return (await run(process.execPath, [...process.execArgv, "--test", ...flags, ...options, ...chosen], { env }))
      .code;
  };
  // Unit tests share a process: to start one for each file would take longer than they do.
  const units = files.filter((file) => file.includes(".unit."));
  const others = files.filter((file) => !units.includes(file));
  const codes = [
    await test(units, "--test-isolation=none", "--test-force-exit", "--test-timeout=60000"),
    await test(others, "--test-concurrency=3", "--test-timeout=300000"),
  ];
  return codes.find((code) => code !== 0) ?? 0;
}
