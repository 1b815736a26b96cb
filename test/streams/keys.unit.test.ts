import assert from "node:assert/strict";
import { test } from "node:test";
import { isKeyPart, type LaneKeys, laneKeys, queuesKey, topicKey } from "../../streams/keys.ts";

test("every key of a lane is known, and all share one hash tag", () => {
  const keys = laneKeys("shop", "mail");
  const named: Record<string, string> = {};
  const args: Partial<Record<keyof LaneKeys, string[]>> = { key: ["send", "k:{1}"] };
  for (const [name, key] of Object.entries(keys) as [keyof LaneKeys, string | ((...given: string[]) => string)][])
    named[name] = typeof key === "string" ? key : key(...(args[name] ?? ["x"]));
  assert.deepEqual(named, {
    tag: "{shop:mail}",
    meta: "{shop:mail}:meta",
    tasks: "{shop:mail}:tasks",
    again: "{shop:mail}:again",
    events: "{shop:mail}:events",
    scheduled: "{shop:mail}:scheduled",
    scheduledEntries: "{shop:mail}:scheduled:entries",
    dead: "{shop:mail}:dead",
    ended: "{shop:mail}:ended:x",
    workers: "{shop:mail}:workers",
    strikes: "{shop:mail}:strikes",
    cancelled: "{shop:mail}:cancelled",
    cron: "{shop:mail}:cron",
    marks: "{shop:mail}:marks",
    calls: "{shop:mail}:calls:x",
    key: "{shop:mail}:key:send:k:{1}",
    result: "{shop:mail}:result:x",
    lock: "{shop:mail}:lock:x",
    turns: "{shop:mail}:turns:x",
    firing: "{shop:mail}:firing",
  });
  assert.equal(new Set(Object.values(named)).size, Object.keys(named).length);
});

test("keys of a namespace are no lane's", () => {
  assert.equal(queuesKey("shop"), "{shop}:queues");
  assert.equal(topicKey("shop", "user.created"), "{shop}:topic:user.created");
});

test("no two namespaces and queues share a key, and nothing that could is taken", () => {
  for (const name of ["a:b", "a{b", "a}b", "", " ", "a b", "a\nb", "a\0b", "x".repeat(101)]) {
    assert.equal(isKeyPart(name), false, JSON.stringify(name));
    assert.throws(() => laneKeys(name, "q"), RangeError);
    assert.throws(() => laneKeys("n", name), RangeError);
  }
  for (const name of ["a", "ä", "A-b_c.d/1", "~cron", "x".repeat(100)]) assert.ok(isKeyPart(name), name);
  assert.notEqual(laneKeys("a-b", "c").tasks, laneKeys("a", "b-c").tasks);
});
