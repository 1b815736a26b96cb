import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { openLazySession, type Transactions } from "../../../src/stock/lazy-session.ts";

type Transaction = Parameters<Parameters<Transactions["begin"]>[0]>[0];

/** Transactions of a database that writes down what it is told. */
function fakeDatabase({ isDown = false } = {}) {
  const log: string[] = [];
  const emitter = new EventEmitter();
  const transaction = Object.assign(emitter, {
    transactionId: "t1",
    async query(text: string) {
      log.push(text);
      if (text === "bad") throw new Error("bad statement");
      return text;
    },
  });
  const transactions: Transactions = {
    async begin(work) {
      if (isDown) throw new Error("the database is down");
      log.push("begin");
      try {
        await work(transaction as unknown as Transaction);
        log.push("commit");
        emitter.emit("commit", {});
      } catch (error) {
        log.push("rollback");
        throw error;
      }
    },
    probe: async () => (log.includes("bad") ? Promise.reject(new Error("aborted")) : undefined),
  };
  const lazy = openLazySession(transactions);
  const query = (text: string) => (lazy.session.query as unknown as (text: string) => Promise<unknown>)(text);
  return { log, lazy, query };
}

test("nothing is begun, committed or rolled back for a session that nobody uses", async () => {
  for (const end of ["commit", "rollback"] as const) {
    const { log, lazy } = fakeDatabase();
    await lazy[end](new Error("of the handler"));
    assert.deepEqual(log, []);
  }
});

test("the first statement begins, however many there are at once, and all of them are committed", async () => {
  const { log, lazy, query } = fakeDatabase();
  assert.equal(lazy.session.transactionId, undefined);
  assert.deepEqual(await Promise.all([query("a"), query("b")]), ["a", "b"]);
  assert.equal(lazy.session.transactionId, "t1");
  let isTold = false;
  lazy.session.on("commit", () => {
    isTold = true;
  });
  await lazy.commit();
  assert.deepEqual([log, isTold], [["begin", "a", "b", "commit"], true]);
});

test("a statement that failed and was caught makes the commit fail, and roll back", async () => {
  const { log, lazy, query } = fakeDatabase();
  await query("bad").catch(() => {});
  await assert.rejects(
    lazy.commit(),
    (error: Error) => /cannot commit/.test(error.message) && error.cause instanceof Error,
  );
  assert.deepEqual(log, ["begin", "bad", "rollback"]);
});

test("a rollback that goes well is no error", async () => {
  const { log, lazy, query } = fakeDatabase();
  await query("a");
  await lazy.rollback(new Error("of the handler"));
  assert.deepEqual(log, ["begin", "a", "rollback"]);
});

test("a database that is down is told by the first statement, and no commit pretends", async () => {
  const { lazy, query } = fakeDatabase({ isDown: true });
  await assert.rejects(query("a"), /is down/);
  await assert.rejects(lazy.commit(), /is down/);
  const other = fakeDatabase({ isDown: true });
  const error = await other.query("a").catch((thrown: unknown) => thrown);
  await other.lazy.rollback(error);
});

test("statements after the end are refused", async () => {
  const { lazy, query } = fakeDatabase();
  await lazy.commit();
  await assert.rejects(query("late"), { code: "provider_misused" });
});
