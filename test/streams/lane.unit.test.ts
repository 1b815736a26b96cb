import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NumberedCall } from "../../streams/call-numbers.ts";
import { enqueue } from "../../streams/enqueue.ts";
import {
  CALLS_IN_FLIGHT,
  CallFailed,
  callScript,
  createRedisClock,
  type Lane,
  newIncarnation,
  openLane,
  pause,
} from "../../streams/lane.ts";
import { promote } from "../../streams/schedules.ts";

type Redis = Lane["redis"];

/** A client that answers as it is told: with a reply, or an error. */
function fakeRedis(...answers: (unknown[] | Error | Promise<never>)[]) {
  const sent: { readonly sha: string; readonly given: readonly string[] }[] = [];
  let disconnects = 0;
  const client = {
    status: "ready",
    evalsha: async (sha: string, keyCount: number, given: string[]) => {
      sent.push({ sha, given: given.slice(keyCount) });
      const answer = answers[Math.min(sent.length, answers.length) - 1];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    eval: async (_: string, keyCount: number, given: string[]) => client.evalsha("source", keyCount, given),
    disconnect() {
      disconnects += 1;
    },
    connect: async () => {},
    on: () => client,
    once: () => client,
    off: () => client,
  };
  return { redis: client as unknown as Redis, sent, disconnectCount: () => disconnects, client };
}

const lane = (redis: Redis) => openLane({ redis, namespace: "n", queue: "q", incarnation: "me" });
const answered = (message: string) => Object.assign(new Error(message), { name: "ReplyError" });
const call = { script: "beat", keys: ["k"], args: [1] } as const;
const silent = new Promise<never>(() => {});

describe("call numbers", () => {
  const idle = () => lane(fakeRedis(["ok", 1]).redis);

  test("count up from one, sixteen at a time", async () => {
    const one = idle();
    const calls = await Promise.all(Array.from({ length: CALLS_IN_FLIGHT }, () => one.nextCall()));
    assert.deepEqual(
      calls.map(({ number }) => number),
      Array.from({ length: 16 }, (_, index) => index + 1),
    );
    let seventeenth: number | undefined;
    const waiting = Promise.resolve(one.nextCall()).then(({ number }) => {
      seventeenth = number;
    });
    calls[5]?.done(); // not the one that it waits for
    await pause(5);
    assert.equal(seventeenth, undefined);
    calls[0]?.done(); // its slot
    await waiting;
    assert.equal(seventeenth, 17);
  });

  test("never have two calls in one slot, however many wait", async () => {
    const one = idle();
    const inSlot = new Map<number, number>();
    const numbers: number[] = [];
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const { number, done } = await one.nextCall();
        const slot = number % 16;
        assert.equal(inSlot.get(slot), undefined, `${number} came while ${inSlot.get(slot)} was on its way`);
        inSlot.set(slot, number);
        numbers.push(number);
        await pause(index % 3);
        inSlot.delete(slot);
        done();
      }),
    );
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  test("are given at once while there is room, and in order where there is none", async () => {
    const one = idle();
    const free = Array.from({ length: CALLS_IN_FLIGHT }, () => one.nextCall());
    assert.ok(free.every((call) => !(call instanceof Promise)));
    const told: number[] = [];
    const waiting = Array.from({ length: 3 * CALLS_IN_FLIGHT }, async () => {
      const { number, done } = await one.nextCall();
      told.push(number);
      done();
    });
    (free[0] as NumberedCall).done();
    await Promise.all([waiting[0], waiting[16], waiting[32]]);
    assert.deepEqual(told, [17, 33, 49]);
    for (const call of free) (call as NumberedCall).done();
    await Promise.all(waiting);
    assert.ok(!(one.nextCall() instanceof Promise));
  });

  test("may be given back twice", async () => {
    const one = idle();
    const first = await one.nextCall();
    first.done();
    first.done();
    for (let i = 0; i < 40; i += 1) (await one.nextCall()).done();
  });

  test("are of one opening of a lane: a process that opens it twice is two writers", () => {
    const [a, b] = [idle(), idle()];
    assert.notEqual(a.incarnation, b.incarnation);
    assert.ok(a.incarnation.startsWith("me."));
  });
});

describe("batch tokens", () => {
  test("are never shared by two batches: calls without a number count downwards", () => {
    const one = lane(fakeRedis(["ok", 1]).redis);
    const tokens = [1, 0, 2, 0, 0].map((number) => JSON.parse(one.header(number)).c);
    assert.deepEqual(tokens, [1, -1, 2, -2, -3]);
    assert.equal(JSON.parse(one.header(1)).p, one.incarnation);
  });

  test("are drawn anew for each try of a call without a number", async () => {
    const { redis, sent } = fakeRedis(new Error("Connection is closed."), [0, 1, "0", 0, ""]);
    await promote(lane(redis));
    const tokens = sent.map(({ given }) => JSON.parse(given[0] as string).c);
    assert.deepEqual(tokens, [-1, -2]);
  });

  test("stay the same over every try of a call with a number", async () => {
    const { redis, sent } = fakeRedis(new Error("Connection is closed."), answered("LOADING Redis"), [
      "ok",
      1,
      "",
      "",
      "",
    ]);
    await enqueue(lane(redis), []);
    assert.equal(sent.length, 3);
    assert.equal(new Set(sent.map(({ given }) => given.join())).size, 1);
  });

  test("say what all events share: those of scripts tell their time themselves", () => {
    const one = lane(fakeRedis(["ok", 1]).redis);
    assert.deepEqual(JSON.parse(one.header(3, { worker: "w", at: 5, traceparent: "t" })).d, {
      v: 1,
      queue: "q",
      at: 5,
      worker: "w",
      traceparent: "t",
    });
    assert.deepEqual(JSON.parse(one.header(0)).d, { v: 1, queue: "q" });
  });
});

describe("a call", () => {
  test("gives the answer, and learns the time from it", async () => {
    const one = lane(fakeRedis(["renewed", Date.now() + 5_000]).redis);
    assert.equal((await callScript(one, call))[0], "renewed");
    assert.ok(Math.abs(one.clock.offsetMs() - 5_000) < 100);
  });

  test("sends the script's text to a server that does not know it", async () => {
    const { redis, sent } = fakeRedis(answered("NOSCRIPT No matching script"), ["ok", 1]);
    await callScript(lane(redis), call);
    assert.equal(sent[1]?.sha, "source");
  });

  test("is tried again while Redis is away, however it says so", async () => {
    const { redis, sent } = fakeRedis(answered("BUSY"), new Error("Connection is closed."), answered("READONLY"), [
      "ok",
      1,
    ]);
    await callScript(lane(redis), call);
    assert.equal(sent.length, 4);
  });

  test("waits for room in a full memory, unless it has a deadline: then that is told at once, as not carried out", async () => {
    const full = answered("OOM command not allowed when used memory > 'maxmemory'.");
    const patient = fakeRedis(full, ["ok", 1]);
    await callScript(lane(patient.redis), call);
    assert.equal(patient.sent.length, 2);
    const { redis, sent } = fakeRedis(full, ["ok", 1]);
    await assert.rejects(callScript(lane(redis), call, { deadline: performance.now() + 5_000 }), isFailure(false));
    assert.equal(sent.length, 1);
  });

  test("that is refused for good fails at once, as not carried out", async () => {
    const { redis } = fakeRedis(answered("WRONGTYPE"));
    await assert.rejects(callScript(lane(redis), call), isFailure(false));
  });

  test("that is refused after a try without an answer may have been carried out, or may be yet", async () => {
    const { redis } = fakeRedis(new Error("Connection is closed."), answered("OOM "));
    await assert.rejects(callScript(lane(redis), call, { deadline: performance.now() + 5_000 }), isFailure(true));
  });

  test("that was answered by refusals alone until its deadline was not carried out", async () => {
    const { redis } = fakeRedis(answered("LOADING"));
    await assert.rejects(callScript(lane(redis), call, { deadline: performance.now() + 60 }), isFailure(false));
  });

  test("that the driver did not send was not carried out", async () => {
    const { redis } = fakeRedis(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    await assert.rejects(callScript(lane(redis), call, { deadline: performance.now() + 60 }), isFailure(false));
  });

  test("is given up at its deadline without hurting the connection that others use", async () => {
    const { redis, disconnectCount } = fakeRedis(silent);
    const begun = performance.now();
    await assert.rejects(callScript(lane(redis), call, { deadline: begun + 30 }), isFailure(true));
    assert.ok(performance.now() - begun < 1_000);
    assert.equal(disconnectCount(), 0);
  });

  test("takes a connection that stays silent for dead, and is tried again on the next", async () => {
    const { redis, sent, disconnectCount } = fakeRedis(silent, ["ok", 1]);
    await callScript(lane(redis), call, { answerWithinMs: 20 });
    assert.deepEqual([sent.length, disconnectCount()], [2, 1]);
  });

  test("ends when it is aborted, also while it waits to try again", async () => {
    const { redis } = fakeRedis(answered("LOADING"));
    const controller = new AbortController();
    const failing = assert.rejects(callScript(lane(redis), call, { signal: controller.signal }), isFailure(false));
    await pause(20);
    controller.abort();
    await failing;
    await assert.rejects(callScript(lane(redis), call, { signal: AbortSignal.abort() }), CallFailed);
  });

  test("that has no connection by its deadline was not sent", async () => {
    const { redis, client, sent } = fakeRedis(["ok", 1]);
    client.status = "reconnecting";
    await assert.rejects(callScript(lane(redis), call, { deadline: performance.now() + 30 }), isFailure(false));
    assert.equal(sent.length, 0);
  });
});

function isFailure(wasSent: boolean) {
  return (error: unknown) => {
    assert.ok(error instanceof CallFailed, String(error));
    assert.equal(error.wasSent, wasSent, error.message);
    return true;
  };
}

describe("Redis' clock", () => {
  test("is the machine's own until an answer came, and then Redis'", () => {
    let now = 1_000;
    const clock = createRedisClock(() => now);
    assert.equal(clock.now(), 1_000);
    clock.learn(61_000, 0, 10); // sent at 0, answered at 10: Redis said it at about 5
    assert.equal(clock.offsetMs(), 60_005);
    now += 500;
    assert.equal(clock.now(), 61_505);
  });

  test("trusts a quick answer more than a slow one", () => {
    const clock = createRedisClock(() => 1_000);
    clock.learn(2_000, 0, 2);
    assert.equal(clock.offsetMs(), 1_001);
    clock.learn(1_980, 0, 60); // within what its way explains
    assert.equal(clock.offsetMs(), 1_001);
    clock.learn(2_010, 0, 1);
    assert.equal(clock.offsetMs(), 1_011);
  });

  test("follows a jump that the way of an answer does not explain", () => {
    const clock = createRedisClock(() => 1_000);
    clock.learn(1_000, 0, 1);
    clock.learn(9_000, 0, 50);
    assert.equal(clock.offsetMs(), 8_025);
  });

  test("takes a difference of one millisecond for none, and an answer without a time for no answer", () => {
    const clock = createRedisClock(() => 1_000);
    clock.learn(1_001, 0, 0);
    assert.equal(clock.offsetMs(), 0);
    clock.learn(Number.NaN, 0, 0);
    assert.equal(clock.now(), 1_000);
  });
});

test("an incarnation names host and process, can be part of a key, and is never the same twice", () => {
  const made = Array.from({ length: 100 }, newIncarnation);
  assert.equal(new Set(made).size, 100);
  for (const one of made) assert.match(one, new RegExp(`^[\\w.-]{1,40}-${process.pid}-[0-9a-f]{8}$`));
});

test("a pause ends at its time, or with the signal, and never rejects", async () => {
  const begun = performance.now();
  await pause(10);
  assert.ok(performance.now() - begun >= 8);
  const controller = new AbortController();
  const pausing = pause(60_000, controller.signal);
  controller.abort();
  await pausing;
  await pause(60_000, controller.signal);
});
