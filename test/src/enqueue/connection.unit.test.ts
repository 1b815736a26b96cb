import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { type ConnectionParts, createConnection } from "../../../src/enqueue/connection.ts";

type Client = Awaited<ReturnType<ConnectionParts["open"]>>;

/** Stands in for an ioredis client: notes what is done to it. */
function fakeClient() {
  const done: string[] = [];
  const client = Object.assign(new EventEmitter(), {
    status: "wait",
    options: {} as { retryStrategy?: () => unknown },
    commandQueue: [] as unknown[],
    stream: { ref: () => done.push("ref"), unref: () => done.push("unref"), destroy: () => done.push("destroy") },
    async connect() {
      done.push("connect");
    },
    disconnect() {
      done.push("disconnect");
      client.status = "end";
    },
  });
  return { client, done, open: async () => client as unknown as Client };
}

function isReady(client: ReturnType<typeof fakeClient>["client"]) {
  client.status = "ready";
  client.emit("ready");
}

test("the socket holds the process while something is in flight, and not longer", async () => {
  const { client, done, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 1_000 });
  await connection.client();
  connection.hold();
  connection.hold();
  isReady(client);
  connection.release();
  assert.deepEqual(done, ["ref"]);
  connection.release();
  assert.deepEqual(done, ["ref", "unref"]);
  connection.hold();
  assert.deepEqual(done, ["ref", "unref", "ref"]);
  connection.release();
  connection.close();
});

test("a connection that comes about when nobody waits for it any more holds nothing", async () => {
  const { client, done, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 1_000 });
  await connection.client();
  isReady(client);
  assert.deepEqual(done, ["unref"]);
});

test("an idle connection is closed after its time, and one that is used again is not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, done, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 60_000 });
  await connection.client();
  connection.hold();
  isReady(client);
  connection.release();
  t.mock.timers.tick(59_999);
  connection.hold();
  t.mock.timers.tick(100_000);
  assert.ok(!done.includes("disconnect"));
  connection.release();
  t.mock.timers.tick(60_000);
  assert.ok(done.includes("disconnect"));
});

test("a lost connection is made again only while something is in flight", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, done, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 60_000 });
  await connection.client();
  assert.equal(client.options.retryStrategy?.(), null, "the driver's own timer would hold the process");
  client.status = "end";
  client.emit("end");
  t.mock.timers.tick(10_000);
  assert.deepEqual(done, []);
  connection.hold();
  client.emit("end");
  t.mock.timers.tick(10_000);
  assert.deepEqual(done, ["ref", "connect"]);
  client.emit("end");
  connection.release();
  t.mock.timers.tick(10_000);
  assert.deepEqual(done, ["ref", "connect"]);
});

test("a connection that has left something unanswered when all have given up is dead, and ended", async () => {
  const { client, done, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 60_000 });
  await connection.client();
  connection.hold();
  isReady(client);
  client.commandQueue.push("a command");
  connection.release();
  assert.deepEqual(done, ["ref", "disconnect", "destroy"]);
});

test("a client that could not be made is asked for again", async () => {
  const { open } = fakeClient();
  let count = 0;
  const connection = createConnection({
    open: () => (++count === 1 ? Promise.reject(new Error("REDIS_URL is missing")) : open()),
    idleMs: 1_000,
  });
  await assert.rejects(connection.client(), /missing/);
  await connection.client();
  await connection.client();
  assert.equal(count, 2);
});

test("it is known why there is no connection, and when nothing is in flight any more", async () => {
  const { client, open } = fakeClient();
  const connection = createConnection({ open, idleMs: 1_000 });
  await connection.client();
  connection.hold();
  const refused = new Error("ECONNREFUSED");
  client.emit("error", refused);
  assert.equal(connection.trouble(), refused);
  isReady(client);
  assert.equal(connection.trouble(), undefined);
  let isSettled = false;
  const settled = connection.settled().then(() => {
    isSettled = true;
  });
  await Promise.resolve();
  assert.equal(isSettled, false);
  connection.release();
  await settled;
  connection.close();
});
