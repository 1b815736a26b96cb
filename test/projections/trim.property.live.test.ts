import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { Redis } from "../../projections/read.ts";
import { trimTail } from "../../projections/trim.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { openRedis, ready } from "../../streams/connect.ts";
import { ensureLane, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { batchToken, encodeHeader, splitId, toLedgerEntry } from "../../streams/ledger.ts";
import { regress } from "../../streams/repair.ts";
import { testNamespace } from "../support/servers.ts";
import { type Snapshot, snapshot } from "./time-machine.ts";

// One entry a node, so that nothing stays for the sake of its neighbours.
const server = await startRedis({ args: ["--stream-node-max-entries", "1"] });
const redis: Redis = await openRedis(server.url, "tool");
await ready(redis, 5_000);
after(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

/** What may happen in a lane, in any order: among it what only a failover brings about, and projectors that do not know of it. */
type Step =
  | { readonly kind: "append"; readonly count: number; readonly isBehind: boolean }
  | { readonly kind: "archive"; readonly projector: number; readonly count: number }
  | { readonly kind: "trim"; readonly projector: number; readonly keepMs: number; readonly keepBytes: number }
  | { readonly kind: "copy" | "fail_over" | "regress" };

const projector = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      count: fc.integer({ min: 1, max: 5 }),
      isBehind: fc.constantFrom(true, true, false),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("archive" as const), projector, count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("trim" as const),
      projector,
      keepMs: fc.constantFrom(0, 0, 0, 60_000),
      keepBytes: fc.constantFrom(0, 1, 2_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("copy", "copy", "fail_over", "fail_over", "regress" as const) }),
  },
);

type Known = { readonly id: string; readonly token: string };

/** A lane, and two projectors that each think they own it: none asks Postgres, which would only make them more careful. */
interface World {
  readonly lane: Lane;
  readonly checkpoints: { incarnation: string; ms: number; seq: number; token: string }[];
  readonly archived: Set<string>;
  copy: Snapshot | undefined;
  call: number;
  trimmedCount: number;
}

async function aWorld(): Promise<World> {
  const namespace = testNamespace();
  await ensureLane(redis, namespace, "default");
  const lane = openLane({ redis, namespace, queue: "default", incarnation: newIncarnation() });
  const incarnation = await incarnationOf(lane);
  const checkpoints = [0, 1].map(() => ({ incarnation, ms: 0, seq: 0, token: "" }));
  return { lane, checkpoints, archived: new Set(), copy: undefined, call: 0, trimmedCount: 0 };
}

async function take(world: World, step: Step): Promise<void> {
  if (step.kind === "append") await append(world, step);
  else if (step.kind === "archive") await archive(world, step);
  else if (step.kind === "trim") await trim(world, step);
  else if (step.kind === "copy") world.copy = await snapshot(world.lane);
  else if (step.kind === "fail_over") await world.copy?.restore();
  else await beginAnew(world);
}

async function append(world: World, { count, isBehind }: Extract<Step, { kind: "append" }>): Promise<void> {
  const { events } = world.lane.keys;
  for (let n = 0; n < count; n += 1) {
    world.call += 1;
    const header = encodeHeader({ incarnation: "p", call: world.call, clockOffsetMs: 0 }, { queue: "default" });
    const last = (await redis.xrevrange(events, "+", "-", "COUNT", 1)) as [string, string[]][];
    // A clock that is behind gives ids right after the last one, which others may have used in the history that was lost.
    const [ms, seq] = splitId(last[0]?.[0] ?? "1000-0");
    await redis.xadd(events, isBehind ? `${ms}-${seq + 1}` : "*", "h", header, "n", 0, "events", "[]");
  }
}

/** As a projector does: from its checkpoint on, if that is still there in this life of the lane. */
async function archive(world: World, { projector, count }: Extract<Step, { kind: "archive" }>): Promise<void> {
  const own = world.checkpoints[projector] as World["checkpoints"][0];
  if ((await incarnationOf(world.lane)) !== own.incarnation) return;
  const isFirst = own.ms === 0;
  const [first, ...rest] = await entriesOf(world.lane, isFirst ? "-" : `${own.ms}-${own.seq}`, count + 1);
  if (first === undefined || (!isFirst && (first.id !== `${own.ms}-${own.seq}` || first.token !== own.token))) return;
  const taken = isFirst ? [first, ...rest] : rest;
  for (const { id, token } of taken) world.archived.add(`${id} ${token}`);
  const last = taken.at(-1);
  if (last === undefined) return;
  const [ms, seq] = splitId(last.id);
  world.checkpoints[projector] = { incarnation: own.incarnation, ms, seq, token: last.token };
}

async function trim(world: World, { projector, keepMs, keepBytes }: Extract<Step, { kind: "trim" }>): Promise<void> {
  const own = world.checkpoints[projector] as World["checkpoints"][0];
  const before = await entriesOf(world.lane);
  world.trimmedCount += await trimTail(world.lane, own, { keepMs, keepBytes, maxTail: 0, whenFull: "refuse" });
  const left = new Set((await entriesOf(world.lane)).map(({ id }) => id));
  for (const { id, token } of before) {
    if (left.has(id)) continue;
    assert.ok(world.archived.has(`${id} ${token}`), `${id} (${token}) is gone and was not archived`);
    assert.ok(id !== `${own.ms}-${own.seq}`, "the checkpoint's own entry is gone");
  }
}

async function beginAnew(world: World): Promise<void> {
  const incarnation = await incarnationOf(world.lane);
  world.call += 1;
  const next = `life${world.call}`;
  await regress(world.lane, { incarnation, next, event: { type: "lane.regressed", expected: "x" } }, {});
  world.checkpoints[0] = { incarnation: next, ms: 0, seq: 0, token: "" };
}

async function entriesOf(lane: Lane, from = "-", count = 1_000): Promise<Known[]> {
  const found = (await redis.xrange(lane.keys.events, from, "+", "COUNT", count)) as [string, string[]][];
  return found.map(toLedgerEntry).map(({ id, header }) => ({ id, token: batchToken(header) }));
}

async function incarnationOf(lane: Lane): Promise<string> {
  return (await redis.hget(lane.keys.meta, "incarnation")) ?? "";
}

/** A projector that has not noticed a failover, and a history whose ids are those of the one that was lost. */
const SAME_IDS: Step[] = [
  { kind: "append", count: 2, isBehind: true },
  { kind: "archive", projector: 0, count: 6 },
  { kind: "copy" },
  { kind: "append", count: 3, isBehind: true },
  { kind: "archive", projector: 0, count: 6 },
  { kind: "fail_over" },
  { kind: "append", count: 4, isBehind: true },
  { kind: "trim", projector: 0, keepMs: 0, keepBytes: 0 },
];

test("whatever happens, and in whatever order, nothing is trimmed that was not archived", async () => {
  let trimmedCount = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
      const world = await aWorld();
      for (const one of steps) await take(world, one);
      trimmedCount += world.trimmedCount;
    }),
    { examples: [[SAME_IDS]], numRuns: Number(process.env.TASKTRAIL_TEST_RUNS ?? 40) },
  );
  assert.ok(trimmedCount > 50, `only ${trimmedCount} entries were trimmed: the test shows nothing`);
});
