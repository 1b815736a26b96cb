import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type EnqueueRecord, enqueue } from "../../streams/enqueue.ts";
import type { Delivery, StreamNumber } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import { ensureLane, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { beat, heldBy, leave, receiveAgain, reclaim, recover, release } from "../../streams/leases.ts";
import { cancel, promote } from "../../streams/schedules.ts";
import { type Settlement, settle } from "../../streams/settle.ts";
import { testNamespace } from "../support/servers.ts";
import {
  aRun,
  assertLegal,
  cancelled,
  died,
  failed,
  fireOne,
  LEASE_MS,
  ledger,
  redis,
  redisNow,
  started,
  succeeded,
  take,
} from "./live-lane.ts";

// Whatever the scripts are asked to do, in whatever order, by workers that are alive, dead, asleep, forgotten or leaving, with
// calls that come twice: histories are legal, every run ends once, and nothing is left behind.

const RUNS = 250;
/** On a machine that is busy, fewer runs will do. */
const MOST_MS = 15_000;
const FAR = 4_000_000_000_000;

/** An entry in a worker's hands, or one that it believes to be. */
interface Held {
  readonly delivery: Delivery;
  isStarted: boolean;
}

interface Worker {
  name: string;
  readonly lane: Lane;
  /** All that it ever got: an earlier delivery is what a zombie settles. */
  readonly hands: Held[];
}

interface World {
  readonly lane: Lane;
  readonly workers: readonly Worker[];
  readonly runs: { readonly run: string; readonly entryId: string | undefined }[];
  /** Numbered calls as they were sent. */
  readonly sent: [sha: string, keyCount: number, given: string[]][];
  lastSlot: number | undefined;
  retired: number;
}

const shaOf = (name: string) =>
  createHash("sha1")
    .update(readFileSync(new URL(`../../streams/scripts/${name}.lua`, import.meta.url)))
    .digest("hex");
const NUMBERED = new Set(["enqueue", "settle", "cancel"].map(shaOf));

async function newWorld(namespace: string, queue: string): Promise<World> {
  const sent: World["sent"] = [];
  const recording = new Proxy(redis, {
    get: (target, name) =>
      name === "evalsha"
        ? (...call: World["sent"][number]) => {
            if (NUMBERED.has(call[0])) sent.push(call);
            return target.evalsha(...call);
          }
        : Reflect.get(target, name, target),
  });
  const open = () => openLane({ redis: recording, namespace, queue, incarnation: newIncarnation() });
  await ensureLane(redis, namespace, queue);
  const workers = ["a", "b", "c"].map((name) => ({ name, lane: open(), hands: [] }));
  return { lane: open(), workers, runs: [], sent, lastSlot: undefined, retired: 0 };
}

type Action = (world: World, worker: Worker, pick: number) => Promise<unknown>;

const one = <T>(from: readonly T[], pick: number): T | undefined => from[pick % Math.max(1, from.length)];

async function enqueueAll(world: World, records: EnqueueRecord[]): Promise<void> {
  const enqueued = await enqueue(world.lane, records);
  for (const [index, { run }] of records.entries())
    if (!enqueued.existing.has(index)) world.runs.push({ run, entryId: enqueued.entryId(index) });
}

function gotten(worker: Worker, deliveries: readonly Delivery[]): void {
  worker.hands.push(...deliveries.map((delivery) => ({ delivery, isStarted: false })));
}

/** Settles, and fails unless exactly what the consumer no longer holds at that delivery was refused as fenced. */
async function checkedSettle(
  { name, lane }: Worker,
  settlements: readonly Settlement[],
): Promise<ReadonlyMap<Settlement, string>> {
  const [held, ...asked] = await Promise.all([
    heldBy(redis, lane.keys, name),
    ...settlements.map(({ delivery }) => redis.zscore(lane.keys.cancelled, delivery.entry.run)),
  ]);
  const isHeld = ({ delivery }: Settlement) =>
    held.some(
      ({ stream, id, delivery: count }) =>
        stream === delivery.stream && id === delivery.id && count === delivery.delivery,
    );
  const { refused } = await settle(lane, { consumer: name, settlements });
  const fenced = [...refused].flatMap(([{ delivery }, why]) =>
    why === "fenced" ? [`${delivery.id} ${delivery.delivery}`] : [],
  );
  const expected = settlements
    .filter((one) => !isHeld(one))
    .map(({ delivery }) => `${delivery.id} ${delivery.delivery}`);
  assert.deepEqual(new Set(fenced), new Set(expected));
  for (const [index, one] of settlements.entries())
    if (one.kind === "moved" && isHeld(one)) assert.equal(refused.get(one) === "cancelled", asked[index] !== null);
  for (const one of settlements) {
    const isBack = held.some(({ stream, id }) => stream === one.delivery.stream && id === one.delivery.id);
    if (isBack && !isHeld(one)) seen.add("a late token of an entry that came back");
  }
  return refused;
}

/** What came about in the course of the test: if it tries too little, it shows. */
const seen = new Set<string>();

/** Settles as a worker does: the start goes before, or with it, and what is refused as cancelled ends so. */
async function settleOne(worker: Worker, held: Held, ending?: (delivery: Delivery) => Settlement): Promise<void> {
  const { delivery } = held;
  const begin = held.isStarted ? [] : [started(delivery, worker.name, delivery.isSuspect)];
  const settlements = ending === undefined ? begin : [...begin, ending(delivery)];
  if (settlements.length === 0) return;
  let refused = await checkedSettle(worker, settlements);
  if ([...refused.values()].includes("cancelled"))
    refused = await checkedSettle(worker, [...begin, cancelled(delivery)]);
  if (refused.size === 0) held.isStarted = true;
}

/** Ends an entry that was not started. */
async function settleUnstarted(
  worker: Worker,
  held: Held,
  events: readonly EventDraft[],
  kind: "ended" | "moved",
): Promise<void> {
  if (held.isStarted) return;
  const { delivery } = held;
  const { attempt, meta, expires } = delivery.entry;
  const settlement: Settlement =
    kind === "ended"
      ? { kind, delivery, events }
      : { kind, delivery, events, move: { dueAt: FAR, attempt, meta, expires } };
  const refused = await checkedSettle(worker, [settlement]);
  if (refused.get(settlement) === "cancelled") await checkedSettle(worker, [cancelled(delivery)]);
}

/** One falls asleep and another takes over what it holds. */
async function takeOver({ lane }: World, worker: Worker, sleeper: Worker): Promise<void> {
  const { keys } = lane;
  await redis.hset(keys.meta, "grace", 1);
  await beat(redis, keys, { consumer: worker.name, leaseMs: LEASE_MS });
  await redis.zadd(keys.workers, (await redisNow(redis)) - 1, sleeper.name);
  gotten(worker, (await reclaim(worker.lane, { consumer: worker.name, leaseMs: LEASE_MS, room: 2 })).taken);
}

const ACTIONS: Record<string, Action> = {
  enqueue: (world) => enqueueAll(world, [aRun(world.lane), aRun(world.lane)]),
  enqueueKeyed: (world, _, pick) =>
    enqueueAll(world, [aRun(world.lane, { key: `k${pick % 3}`, meta: { keyUntil: 0 } }), aRun(world.lane)]),
  enqueueLater: (world, _, pick) =>
    enqueueAll(world, [
      aRun(world.lane, { dueAt: FAR + pick }),
      aRun(world.lane, { dueAt: 5 }),
      aRun(world.lane, { dueAt: FAR, key: `k${pick % 3}` }),
    ]),
  fire: async (world, _, pick) => {
    const { run, task, meta, body, event } = aRun(world.lane);
    const slot = (world.lastSlot ?? 0) + 1;
    const last = pick % 4 === 0 ? 77 : world.lastSlot; // who knows it wrongly is refused
    const fired = await fireOne(world.lane, {
      schedule: "s",
      last,
      slot,
      events: [event],
      run: { id: run, task, expires: 0, meta, body },
    });
    if (!fired.isFired) return;
    world.lastSlot = slot;
    world.runs.push({ run, entryId: undefined });
  },
  promote: async ({ lane }, _, pick) => {
    const runs = await redis.zrange(lane.keys.scheduled, "0", "-1");
    for (const [index, run] of runs.entries())
      if ((index + pick) % 2 === 0) await redis.zadd(lane.keys.scheduled, 1, run);
    await promote(lane);
  },
  cancel: async (world, { lane }, pick) => {
    const known = one(world.runs, pick);
    if (known !== undefined)
      await cancel(lane, { run: known.run, entryId: pick % 2 === 0 ? known.entryId : undefined });
  },
  beat: ({ lane }, { name }) => beat(redis, lane.keys, { consumer: name, leaseMs: LEASE_MS }),
  read: async ({ lane }, worker, pick) => gotten(worker, await take(lane, worker.name, 1 + (pick % 3))),
  readLost: ({ lane }, { name }) => take(lane, name, 2),
  receive: async ({ lane }, worker) => {
    for (const held of await heldBy(redis, lane.keys, worker.name)) {
      const isKnown = worker.hands.some(
        ({ delivery: d }) => d.id === held.id && d.stream === held.stream && d.delivery === held.delivery,
      );
      if (isKnown) continue;
      const again = await receiveAgain(redis, lane.keys, worker.name, held);
      if (again !== undefined) gotten(worker, [again]);
    }
  },
  lapse: async ({ lane }, { name }) => redis.zadd(lane.keys.workers, "XX", (await redisNow(redis)) - 1, name),
  stall: async ({ lane }) => redis.hset(lane.keys.meta, "last", (await redisNow(redis)) - LEASE_MS),
  endGrace: ({ lane }) => redis.hset(lane.keys.meta, "grace", 1),
  reclaim: async (_, worker, pick) =>
    gotten(worker, (await reclaim(worker.lane, { consumer: worker.name, leaseMs: LEASE_MS, room: pick % 4 })).taken),
  reclaimLost: (_, { lane, name }) => reclaim(lane, { consumer: name, leaseMs: LEASE_MS, room: 1 }),
  takeOver: (world, worker, pick) => takeOver(world, worker, one(world.workers, pick) as Worker),
  // What it runs goes to another and comes back, while its handler for the first delivery is still at work.
  comeBack: async (world, worker, pick) => {
    const other = one(world.workers, pick) as Worker;
    await (ACTIONS.read as Action)(world, worker, 0);
    await (ACTIONS.start as Action)(world, worker, worker.hands.length - 1);
    await takeOver(world, other, worker);
    await takeOver(world, worker, other);
  },
  release: async (_, { lane, name, hands }, pick) => {
    const unstarted = hands.filter(({ isStarted }, index) => !isStarted && (index + pick) % 2 === 0);
    await release(
      lane,
      name,
      unstarted.map(({ delivery }) => delivery),
    );
  },
  leave: (_, { lane, name }) => leave(lane, name),
  // A stranger, or a bug, deletes the consumer; the process lives on, and comes again under another name.
  forget: async (world, worker) => {
    for (const stream of [world.lane.keys.tasks, world.lane.keys.again])
      await redis.xgroup("DELCONSUMER", stream, "workers", worker.name);
    worker.name = `${worker.name}${++world.retired}`;
  },
  recover: async (_, worker, pick) => {
    const stream = (1 + (pick % 2)) as StreamNumber;
    gotten(
      worker,
      (await recover(worker.lane, { consumer: worker.name, stream, from: "0-0", chunk: 2, room: 3 })).taken,
    );
  },
  start: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held !== undefined) await settleOne(worker, held);
  },
  succeed: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held !== undefined) await settleOne(worker, held, (delivery) => succeeded(delivery, worker.name));
  },
  retry: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held !== undefined)
      await settleOne(worker, held, (delivery) => failed(delivery, pick % 2 === 0 ? 1 : FAR, worker.name));
  },
  die: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held !== undefined) await settleOne(worker, held, (delivery) => died(delivery));
  },
  skip: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held === undefined) return;
    const { run, task } = held.delivery.entry;
    await settleUnstarted(worker, held, [{ type: "run.skipped", run, task, reason: "held" }], "ended");
  },
  defer: async (_, worker, pick) => {
    const held = one(worker.hands, pick);
    if (held === undefined) return;
    const { run, task } = held.delivery.entry;
    await settleUnstarted(
      worker,
      held,
      [{ type: "run.deferred", run, task, reason: "unknown_task", retryAt: FAR }],
      "moved",
    );
  },
  settleMany: async (_, worker) => {
    const mine = worker.hands.filter(({ isStarted }) => !isStarted).slice(-4);
    const settlements = mine.flatMap(({ delivery }) => [
      started(delivery, worker.name),
      succeeded(delivery, worker.name),
    ]);
    const refused = await checkedSettle(worker, settlements);
    if (refused.size === 0) for (const held of mine) held.isStarted = true;
  },
  // What is repeated after that is stale.
  fillRing: async ({ lane }, worker) => {
    await Promise.all(Array.from({ length: 17 }, () => [enqueue(lane, []), enqueue(worker.lane, [])]).flat());
  },
  repeat: async ({ sent }, _, pick) => {
    const call = one(sent, pick);
    if (call === undefined) return;
    const [status] = (await redis.evalsha(...call)) as [string];
    assert.ok(
      ["repeated", "stale", "refused", "cancelled", "requested", "already"].includes(status),
      `a repeated call was ${status}`,
    );
  },
};

const names = Object.keys(ACTIONS);
const usual = [
  "read",
  "start",
  "start",
  "succeed",
  "retry",
  "beat",
  "enqueue",
  "takeOver",
  "comeBack",
  "comeBack",
  "takeOver",
  "promote",
  "repeat",
  "cancel",
];
const step = fc.record({
  action: fc.constantFrom(...names, ...usual),
  worker: fc.nat({ max: 2 }),
  pick: fc.nat({ max: 60 }),
});

/** Lets one last worker finish all that is there. */
async function drain({ lane }: World): Promise<void> {
  const last: Worker = { name: "last", lane, hands: [] };
  const { keys } = lane;
  for (let round = 0; ; round += 1) {
    assert.ok(round < 50, "the lane does not drain");
    await beat(redis, keys, { consumer: last.name, leaseMs: LEASE_MS });
    await redis.hset(keys.meta, "grace", 1);
    for (const name of await redis.zrange(keys.workers, "0", "-1"))
      if (name !== last.name) await redis.zadd(keys.workers, "XX", "LT", 1, name);
    for (const run of await redis.zrange(keys.scheduled, "0", "-1")) await redis.zadd(keys.scheduled, 1, run);
    await promote(lane);
    const found = await take(lane, last.name);
    found.push(...(await reclaim(lane, { consumer: last.name, leaseMs: LEASE_MS, room: 100 })).taken);
    for (const stream of [1, 2] as const)
      found.push(...(await recover(lane, { consumer: last.name, stream, from: "0-0", chunk: 100, room: 100 })).taken);
    for (const delivery of found)
      await settleOne(last, { delivery, isStarted: false }, (one) => succeeded(one, last.name));
    const left = (await redis.xlen(keys.tasks)) + (await redis.xlen(keys.again)) + (await redis.zcard(keys.scheduled));
    const others = (await redis.zrange(keys.workers, "0", "-1")).filter((name) => name !== last.name);
    if (left + others.length === 0) return;
  }
}

type Events = Awaited<ReturnType<typeof ledger>>;

async function assertNothingLeft({ lane }: World, events: Events): Promise<void> {
  const { keys } = lane;
  const ownKeys = ["k0", "k1", "k2"].map((key) => keys.key("send", key));
  const [tasks, again, left, asked] = await Promise.all([
    redis.xpending(keys.tasks, "workers"),
    redis.xpending(keys.again, "workers"),
    redis.exists(keys.scheduledEntries, keys.strikes, ...ownKeys),
    redis.zrange(keys.cancelled, "0", "-1"),
  ]);
  assert.deepEqual([tasks[0], again[0], left], [0, 0, 0]);
  // What remains of cancel requests is of runs that had ended when they came: an hour later, a beat takes them away.
  const ofRuns = Map.groupBy(events, (event) => event["run" as never] as string);
  for (const run of asked) {
    assert.equal(ofRuns.get(run)?.at(-1)?.type, "run.cancel_requested", "an ending left its cancel request behind");
    await redis.zadd(keys.cancelled, 5, run);
  }
  await beat(redis, keys, { consumer: "last", leaseMs: LEASE_MS });
  const known = new Set<string>([keys.meta, keys.tasks, keys.again, keys.events, keys.dead, keys.workers, keys.cron]);
  for (const name of await redis.keys(`${keys.tag}:*`))
    assert.ok(known.has(name) || name.startsWith(keys.calls("")), `${name} is left behind`);
}

async function assertEndedOnce({ lane, runs }: World, events: Events): Promise<void> {
  const ended = await assertLegal(lane);
  const of = (type: string) => events.filter((event) => event.type === type).length;
  assert.equal(of("run.enqueued"), runs.length);
  for (const { run } of runs) assert.ok(ended.has(run), `${run} has no ending`);
  assert.equal(await redis.xlen(lane.keys.dead), of("run.died"));
}

test("any interleaving of the scripts gives legal histories, one ending per run, and leaves nothing behind", async (t) => {
  const seed = Number(process.env.TASKTRAIL_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}: run again with TASKTRAIL_SEED=${seed}`);
  const namespace = testNamespace();
  const until = performance.now() + MOST_MS;
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      if (performance.now() > until) return;
      const world = await newWorld(namespace, `q${++count}`);
      try {
        for (const { action, worker, pick } of steps)
          await (ACTIONS[action] as Action)(world, world.workers[worker] as Worker, pick);
        await drain(world);
        const events = await ledger(world.lane);
        await assertEndedOnce(world, events);
        await assertNothingLeft(world, events);
        for (const { type } of events) seen.add(type);
      } finally {
        const left = await redis.keys(`${world.lane.keys.tag}:*`);
        if (left.length > 0) await redis.unlink(left);
      }
    }),
    { seed, numRuns: RUNS },
  );
  t.diagnostic(`${count} interleavings`);
  if (count === RUNS)
    for (const what of EXPECTED) assert.ok(seen.has(what), `${what} did not come about: the test tries too little`);
});

const EXPECTED = [
  ...["run.due", "run.failed", "run.released", "run.redelivered", "run.recovered", "run.deferred"],
  ...["run.died", "run.cancelled", "run.skipped", "run.succeeded"],
  "a late token of an entry that came back",
];
