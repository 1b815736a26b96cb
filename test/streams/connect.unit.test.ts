import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, test } from "node:test";
import { connectionOptions, openRedis, type Refusal, ready, reconnectDelayMs, refusal } from "../../streams/connect.ts";

const TABLE: [Refusal, ...string[]][] = [
  [
    "away",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "READONLY You can't write against a read only replica. script: 5fe, on @user_script:3.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "ERR max number of clients reached",
    "Connection is closed.",
    "Stream isn't writeable and enableOfflineQueue options is false",
    "Command timed out",
    "Socket timeout. Expecting data, but didn't receive any in 100ms.",
    "connect ECONNREFUSED 127.0.0.1:6379",
    "read ECONNRESET",
    "write EPIPE",
    "connect ETIMEDOUT",
    "getaddrinfo ENOTFOUND redis.example",
    "getaddrinfo EAI_AGAIN redis",
    "connect EHOSTUNREACH 10.0.0.1:6379",
    "connect ENETUNREACH 10.0.0.1:6379",
    "Client network socket disconnected before secure TLS connection was established",
    'Reached the max retries per request limit (which is 20). Refer to "maxRetriesPerRequest" option for details.',
  ],
  [
    "full",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "OOM command not allowed when used memory > 'maxmemory'. script: 5fe, on @user_script:25.",
    "ERR Error running script (call to f_5fe): @user_script:25: OOM command not allowed",
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
  ],
  [
    "denied",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "ERR The user executing the script can't run this command or subcommand script: 5fe",
  ],
  [
    "no_group",
    "NOGROUP No such key '{n:q}:tasks' or consumer group 'workers' in XREADGROUP with GROUP option",
    "UNBLOCKED the stream key no longer exists",
  ],
  ["wrong_type", "WRONGTYPE Operation against a key holding the wrong kind of value"],
  [
    "other",
    "ERR syntax error",
    "NOSCRIPT No matching script.",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "",
  ],
];

for (const [kind, ...messages] of TABLE)
  for (const message of messages)
    test(`"${message.slice(0, 60)}" is told as ${kind}`, () => {
      assert.equal(refusal(new Error(message)), kind);
      assert.equal(refusal(message), kind);
    });

test("what is no error at all is told as other", () => {
  for (const thrown of [undefined, null, 5, {}]) assert.equal(refusal(thrown), "other");
});

test("waits between attempts to connect double from 50 ms to 2 s, half of each at random", () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 1_000].map((attempt) => reconnectDelayMs(attempt, () => 1)),
    [50, 100, 200, 1_600, 2_000, 2_000],
  );
  assert.deepEqual(
    [1, 7].map((attempt) => reconnectDelayMs(attempt, () => 0)),
    [25, 1_000],
  );
});

test("a connection of ours never resends, and never queues", () => {
  const { enableOfflineQueue, autoResendUnfulfilledCommands, connectionName, protocol } = connectionOptions("beat");
  assert.deepEqual([enableOfflineQueue, autoResendUnfulfilledCommands, protocol], [false, false, 2]);
  assert.equal(connectionName, "tasktrail-beat");
});

const client = (options: object = {}) => Object.assign(new EventEmitter(), { options, status: "connecting" });

describe("a client that was handed in", () => {
  test("never resends, never queues, and its errors are heard", async () => {
    const own = client({ enableOfflineQueue: true });
    const heard: Error[] = [];
    await openRedis(
      () => own,
      "dispatch",
      (error) => heard.push(error),
    );
    assert.deepEqual(own.options, {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    });
    own.emit("error", new Error("x"));
    assert.equal(heard.length, 1);
  });

  test("is refused when it would write other keys, or answer in other shapes", async () => {
    await assert.rejects(
      openRedis(() => client({ keyPrefix: "app:" }), "dispatch"),
      /keyPrefix "app:".*namespace/,
    );
    await assert.rejects(
      openRedis(() => client({ replyMapping: "resp3" }), "dispatch"),
      /replyMapping/,
    );
  });
});

describe("waiting for a connection", () => {
  test("is over at once when it is ready, or the signal was aborted", async () => {
    assert.equal(await ready(Object.assign(client(), { status: "ready" }) as never, 5), true);
    assert.equal(await ready(client() as never, 60_000, AbortSignal.abort()), false);
  });

  test("is over when it becomes ready, when its time is up, or with the signal; and leaves no listener", async () => {
    const own = client();
    const waiting = ready(own as never, 60_000);
    own.emit("ready");
    assert.equal(await waiting, true);
    assert.equal(await ready(own as never, 5), false);
    const controller = new AbortController();
    const aborted = ready(own as never, 60_000, controller.signal);
    controller.abort();
    assert.equal(await aborted, false);
    assert.equal(own.listenerCount("ready"), 0);
  });

  test("begins to connect when that has not begun, or has ended", async () => {
    for (const status of ["wait", "end"]) {
      let connects = 0;
      const own = Object.assign(client(), {
        status,
        connect: async () => {
          connects += 1;
          throw new Error("refused");
        },
      });
      assert.equal(await ready(own as never, 5), false);
      assert.equal(connects, 1);
    }
  });
});
