import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startPostgres } from "../../src/dev/start-postgres.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import type { Cast } from "./cast.ts";
import { connectionsOver } from "./connections.ts";
import { watchMemory } from "./memory.ts";
import { noiseOf } from "./noise.ts";
import { judge, type Verdict } from "./oracle.ts";
import { rowsThatDiffer } from "./rows.ts";
import type { Report, Scenario, Stage } from "./scenario.ts";
import { openStage } from "./stage.ts";

/** Plays a scenario on servers of its own, and judges it. */
export async function perform(
  scenario: Scenario,
  { seed, size }: { readonly seed: number; readonly size: number },
): Promise<Report> {
  const begun = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "tasktrail-crash-"));
  await using server = await startRedis(scenario.redis ?? {});
  const { postgresArgs: args = [] } = scenario;
  await using postgres = scenario.hasPostgres === true ? await startPostgres({ durable: true, args }) : undefined;
  await using opened = openStage({ size, seed, server, postgres, lease: scenario.lease, folder });
  const { stage, notes, remarks, healedAt } = opened;
  using memory = watchMemory(stage.cast);
  const failures: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    await work().catch((error: unknown) => failures.push(String(error)));
  };
  await attempt(() => scenario.play(stage));
  const different = postgres === undefined ? undefined : await caughtUp(stage, postgres.url);
  let connectionsLeft = await connectionsOver(stage.redis, stage.cast);
  await attempt(() => stopAll(stage.cast));
  connectionsLeft += await connectionsOver(stage.redis, stage.cast);
  const { redis, namespace, queue, journals } = stage;
  const { hasForeign = false } = scenario;
  const { deaths } = stage.cast;
  const where = { redis, namespace, queue, ...journals };
  const verdict = await judge({ ...where, hasForeign, deaths, healedAt, projectionDifference: different?.length });
  const allowed = scenario.allowedDuplicates(size, deaths.size);
  const noise = noiseOf(stage.cast.all);
  await attempt(async () => failures.push(...((await scenario.check?.(stage)) ?? [])));
  failures.push(
    ...notes,
    ...verdict.wrongTurns,
    ...(different ?? []).slice(0, 5),
    ...marksMissed(scenario, { size, allowed, verdict }),
  );
  const { mostGrowthMb = Number.POSITIVE_INFINITY } = scenario;
  const grown = memory.grown() ?? 0;
  if (grown > mostGrowthMb) failures.push(`a worker grew by ${grown.toFixed(1)} MB, and ${mostGrowthMb} are allowed`);
  if (connectionsLeft > 0) failures.push(`${connectionsLeft} connections were left`);
  if (noise.strange.length > 0)
    failures.push(`on standard error: ${noise.strange.slice(0, 5).join(" | ").slice(0, 500)}`);
  if (noise.worst > 1) failures.push(`"${noise.worstClass}" was logged ${noise.worst} times in five seconds`);
  if (failures.length === 0) await rm(folder, { recursive: true, force: true });
  return {
    ...{ scenario: scenario.name, seed, size, verdict, connectionsLeft, remarks, failures },
    allowedDuplicates: allowed,
    memorySlope: memory.slope(),
    unhandled: noise.strange.length,
    noise: noise.worst,
    tookMs: performance.now() - begun,
  };
}

/** How long a process may take to stop when it has nothing in hand, in ms. */
const STOP_MS = 15_000;

/** Asks those that are left to stop, as a deploy does. Throws when one does not, or ends with another code than 0. */
async function stopAll({ all }: Cast): Promise<void> {
  const living = all.filter((actor) => actor.isAlive());
  const late = delay(STOP_MS, "late", { ref: false });
  const begun = living.map((actor) => actor.says("ready").catch(() => {})); // before that, the signal just ends it
  await Promise.race([Promise.all(begun), late]);
  for (const actor of living) actor.signal("SIGTERM");
  const codes = await Promise.all(living.map(({ ended }) => Promise.race([ended, late])));
  const wrong = living.flatMap(({ program, errors }, index) =>
    codes[index] === 0 ? [] : [`a ${program} ended with ${codes[index]}: ${errors().slice(-3).join(" | ")}`],
  );
  if (wrong.length > 0) throw new Error(wrong.join("; "));
}

/** How long a projector may take to reach the ledger's end once all is calm, in ms. */
const CATCH_UP_MS = 30_000;

/** The rows that differ once the projectors have caught up, or have had the time for it. */
async function caughtUp({ redis, namespace, queue }: Stage, databaseUrl: string): Promise<string[]> {
  const deadline = performance.now() + CATCH_UP_MS;
  for (;;) {
    const different = await rowsThatDiffer({ redis, namespace, queue, databaseUrl }).catch((error: unknown) => [
      String(error),
    ]);
    if (different.length === 0 || performance.now() > deadline) return different;
    await delay(500);
  }
}

interface Marks {
  readonly size: number;
  /** Duplicate starts that the fault explains. */
  readonly allowed: number;
  readonly verdict: Verdict;
}

/** The marks that a verdict misses, each as a sentence. */
function marksMissed(scenario: Scenario, { size, allowed, verdict }: Marks): string[] {
  const zero = ["lost", "doubleEndings", "zombieWrites", "illegal", "unexplained", "leftOver"] as const;
  const missed = zero.filter((mark) => verdict[mark] !== 0).map((mark) => `${mark} is ${verdict[mark]}, not 0`);
  if ((verdict.projectionDifference ?? 0) !== 0)
    missed.push(`${verdict.projectionDifference} rows differ from the ledger`);
  if (verdict.duplicates > allowed) missed.push(`${verdict.duplicates} duplicate starts, and ${allowed} are explained`);
  const dead = scenario.expectedDead === undefined ? 0 : scenario.expectedDead(size);
  if (dead !== undefined && verdict.died !== dead) missed.push(`${verdict.died} runs died, not ${dead}`);
  if (verdict.told === 0) missed.push("no run was dispatched");
  return missed;
}
