// Events that commit with what they tell of, and two subscribers.
import { sql } from "slonik";
import { createBroker, createProjector, createWorker, topic } from "tasktrail";
import { getDbSession, getEventPublisher, getPool } from "tasktrail/deps";
import { z } from "zod";

const broker = createBroker();

const welcome = broker.task({
  name: "welcome",
  input: z.object({ id: z.string(), email: z.string() }),
  run({ email }) {
    welcomed.resolve(`welcome, ${email}`);
  },
});
const countDomain = broker.task({
  name: "count_domain",
  input: z.object({ domain: z.string() }),
  run({ domain }) {
    counted.resolve(domain);
  },
});
const welcomed = Promise.withResolvers<string>();
const counted = Promise.withResolvers<string>();

// #region subscribe
const userCreated = topic("user.created", z.object({ id: z.string(), email: z.string() }));

// Each new user becomes a run of each subscriber; `map` makes of an event the input that a task wants.
broker.on(userCreated, welcome, { from: "start" });
broker.on(
  userCreated.map(({ data }) => ({ domain: data.email.split("@")[1] ?? "" })),
  countDomain,
  { group: "domains", from: "start" },
);
// #endregion

const createUser = broker.task({
  name: "create_user",
  input: z.object({ email: z.string() }),
  deps: { db: getDbSession, events: getEventPublisher },
  async run({ email }, { db, events }, run) {
    await db.query(sql.unsafe`insert into users (id, email) values (${run.id}, ${email})`);
    events.publish(userCreated, { id: run.id, email }, { subject: run.id });
  },
});

await using worker = createWorker(broker, { concurrency: 1 });
await using projector = createProjector(broker); // relays outbox and topics, too
const roles = [worker.run(), projector.run()];
while (!projector.health().isReady) await new Promise((resolve) => setTimeout(resolve, 20)); // it makes the tables
await broker
  .task({
    name: "set_up",
    deps: { pool: getPool },
    async run(_, { pool }) {
      await pool.query(sql.unsafe`create table users (id text primary key, email text)`);
    },
  })
  .call();

await createUser.kiq({ email: "ada@example.org" });
console.log(await welcomed.promise); // welcome, ada@example.org
console.log(await counted.promise); // example.org

await Promise.all([worker.stop(), projector.stop()]);
await Promise.all(roles);
