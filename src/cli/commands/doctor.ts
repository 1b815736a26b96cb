import type { Command } from "commander";
import type { DatabasePool } from "slonik";
import { listQueues } from "../../../streams/lane.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Cli, example } from "../command.ts";
import { checkClocks } from "../doctor/clocks.ts";
import { checkCrons, locksOf } from "../doctor/crons.ts";
import { type Finding, findings } from "../doctor/finding.ts";
import { checkPostgres } from "../doctor/postgres.ts";
import { checkRedis } from "../doctor/redis.ts";
import { checkRights } from "../doctor/rights.ts";
import { checkSettings } from "../doctor/settings.ts";
import { checkStreams } from "../doctor/streams.ts";
import { checkTopics } from "../doctor/topics.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError, explain } from "../failure.ts";
import { readLane } from "../lane-state.ts";
import { jsonOption } from "../options.ts";
import { readScheduleViews } from "../schedules.ts";
import { connectRedis, databaseUrl, namespaceOf, type OpenRedis } from "../servers.ts";
import type { Style, Terminal } from "../terminal.ts";
import { cleanLines } from "../text.ts";
import { counted } from "../words.ts";

/** `tasktrail doctor`: what is wrong, and what to do about it. Exit code 1 when something is. */
export function doctor(command: Command, cli: Cli): void {
  command.action(async (options: { readonly json?: boolean }) => {
    const found = await examine(cli.terminal);
    if (options.json === true) for (const finding of found) cli.terminal.json(finding);
    else report(found, cli.terminal);
    if (found.some(({ level }) => level === "fail")) cli.outcome.exitCode = EXIT.failed;
  });
  jsonOption(command);
  example(command, "doctor", "doctor --redis redis://localhost:6379 --database postgres://localhost:5432/app");
}

async function examine(terminal: Terminal): Promise<Finding[]> {
  const { env } = terminal;
  const redis = await attempt("Redis", () => connectRedis(env));
  const postgres = await attempt("Postgres", () => connectPostgres(terminal));
  const found = [...redis.findings, ...postgres.findings];
  const { value: server } = redis;
  const { value: pool } = postgres;
  try {
    if (server !== undefined) found.push(...(await checked("Redis", () => checkServer(server))));
    if (pool !== undefined) {
      const check = { pool, url: databaseUrl(env, ""), namespace: namespaceOf(env), concurrency: concurrencyOf(env) };
      found.push(...(await checked("Postgres", () => checkPostgres(check))));
    }
    if (server !== undefined) {
      found.push(...(await checked("clocks", () => checkClocks(server.redis, pool))));
      found.push(...(await checked("streams", () => checkLanes(server, pool))));
      found.push(...(await checked("streams", () => checkTopics(server))));
      if (pool !== undefined) found.push(...(await checked("crons", () => checkLocks(server, pool))));
    }
    return [...found, ...checkSettings(env)];
  } finally {
    server?.[Symbol.dispose]();
    await pool?.end();
  }
}

async function checkServer(server: OpenRedis): Promise<Finding[]> {
  const { redis, url, namespace } = server;
  return [...(await checkRedis(redis, url)), ...(await checkRights(await server.another(), namespace))];
}

async function checkLanes({ redis, namespace }: OpenRedis, pool: DatabasePool | undefined): Promise<Finding[]> {
  const queues = await listQueues(redis, namespace);
  const lanes = await Promise.all(queues.map((queue) => readLane(redis, namespace, queue)));
  if (pool === undefined) return checkStreams(lanes, undefined);
  const { listCheckpoints } = await import("../../../sql/queries/checkpoints.ts");
  return checkStreams(lanes, await listCheckpoints(pool, namespace).catch(() => []));
}

async function checkLocks(server: OpenRedis, pool: DatabasePool): Promise<Finding[]> {
  const views = await readScheduleViews(server, []);
  const { findOverrunning } = await import("../../../sql/queries/cron-job-runs.ts");
  const locks = locksOf(views);
  // Tables that are not there yet are told of already.
  return checkCrons(views, await findOverrunning(pool, server.namespace, locks).catch(() => []));
}

async function connectPostgres({ env }: Terminal): Promise<DatabasePool> {
  if (!env.DATABASE_URL?.trim()) {
    throw new CliError(EXIT.ok, "none is named: no archive is kept, and no tables", {
      advice: "Set DATABASE_URL to have them.",
    });
  }
  const url = databaseUrl(env, "");
  const { openPool } = await import("../../../sql/pool.ts");
  return openPool(url, { size: 2, applicationName: "tasktrail-doctor" });
}

function concurrencyOf(env: Terminal["env"]): number {
  return Number(env.TASKTRAIL_CONCURRENCY) || DEFAULTS.concurrency;
}

/** Opens a server. That it cannot be opened is a finding. */
async function attempt<T>(
  area: "Redis" | "Postgres",
  open: () => Promise<T>,
): Promise<{ value?: T; findings: Finding[] }> {
  try {
    return { value: await open(), findings: [] };
  } catch (error) {
    const { message, advice = "", exitCode } = explain(error);
    const { warn, fail } = findings(area);
    return { findings: [exitCode === EXIT.ok ? warn(message, advice) : fail(message, advice)] };
  }
}

/** One examination that breaks off must not hide what the others find. */
async function checked(area: Finding["area"], check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    const { message, advice = "Run again with --verbose to see where." } = explain(error);
    return [findings(area).fail(`could not be examined: ${message}`, advice)];
  }
}

const LOOK: Readonly<Record<Finding["level"], Style>> = { ok: "green", warn: "yellow", fail: "red" };

function report(found: readonly Finding[], { line, style }: Terminal): void {
  for (const { area, level, what, advice } of found) {
    line(`${style(LOOK[level], level.padEnd(4))}  ${style("bold", area.padEnd(8))}  ${cleanLines(what)}`);
    if (advice) line(`${" ".repeat(16)}${style("dim", `→ ${cleanLines(advice)}`)}`);
  }
  const count = (level: Finding["level"]) => found.filter((finding) => finding.level === level).length;
  line();
  line(`${counted(count("fail"), "problem")}, ${counted(count("warn"), "warning")}, ${count("ok")} ok`);
}
