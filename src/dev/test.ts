// `npm test [-- FILTER... --NODE-TEST-OPTION...]`: the suite, on one private Redis and one private Postgres.
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
  const flags = ["--test", "--test-concurrency=3", "--test-timeout=300000", ...options];
  return (await run(process.execPath, [...process.execArgv, ...flags, ...files], { env })).code;
}
