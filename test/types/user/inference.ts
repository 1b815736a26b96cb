// biome-ignore-all lint: only the types of it are looked at
// Everything is inferred: assertions on types only, no annotations in user code.

import { type } from "arktype";
import {
  contract,
  createBroker,
  cron,
  defineProjection,
  getRun,
  type LedgerEvent,
  override,
  type Projection,
  type Provider,
  provider,
  type RunHandle,
  type ScheduleState,
  type Task,
  type TaskRef,
  topic,
  unchecked,
} from "tasktrail";
import { type DbSession, getDbSession, getEventPublisher, getLogger, type Logger } from "tasktrail/deps";
import * as v from "valibot";
import { z } from "zod";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <A, B>(_ok: Equal<A, B>): void => {};

export const broker = createBroker({ redis: "redis://localhost" });

// --- result from the handler
export const resize = broker.task({
  name: "resize",
  input: z.object({ key: z.string(), width: z.int().default(100) }),
  async run({ key, width }) {
    return { key: `${key}@${width}`, ok: true as const, maybe: Math.random() > 2 ? 1 : undefined };
  },
});
is<
  typeof resize,
  Task<{ key: string; width?: number | undefined }, { key: string; ok: true; maybe: number | undefined }, {}>
>(true);
const h1 = await resize.kiq({ key: "a" });
const out1 = await h1.result();
is<typeof out1, { key: string; ok: true; maybe: number | undefined }>(true);

// --- order of properties: run first
export const anyOrder = broker.task({
  async run({ a }, { logger, n }, run) {
    logger.info({ a, n: n.toFixed() }, run.id);
    return a.length;
  },
  retry: {
    attempts: 3,
    backoff: (attempt, error) => `${2 ** attempt}s`,
    when: (error) => !(error instanceof RangeError),
  },
  deps: { logger: getLogger, n: provider({ provide: (_, use) => use(42) }) },
  input: z.object({ a: z.string() }),
  name: "any_order",
});
is<typeof anyOrder, Task<{ a: string }, number, { logger: Logger; n: number }>>(true);

// --- no input, no deps
export const tick = broker.task({
  name: "tick",
  async run(_input, _deps, run) {
    return run.attempt;
  },
});
(await (await tick.kiq()).result()) satisfies number;
await tick.with({ delay: "5m" }).kiq();
await tick.call();
export const noop = broker.task({ name: "noop", run() {} });
is<typeof noop, Task<undefined, void, {}>>(true);

// --- contract with an output schema: literals kept, result() gives its output side
const gradeContract = contract({
  name: "grade",
  input: z.object({ n: z.number() }),
  output: z.object({ mark: z.enum(["a", "b"]), at: z.iso.datetime().transform((s) => new Date(s)) }),
});
export const grade = gradeContract.implement(broker, {
  run({ n }) {
    return { mark: n > 1 ? "a" : "b", at: "2026-01-01T00:00:00Z" };
  },
});
export const gradeB = gradeContract.implement(broker, {
  async run() {
    return { mark: "a", at: "" };
  },
});
export const gradeC = gradeContract.implement(broker, {
  run: async ({ n }, { logger }) => {
    logger.info({ n });
    if (n > 1) return { mark: "a", at: "" };
    return { mark: "b", at: "" };
  },
  deps: { logger: getLogger },
});
export const gradeD = gradeContract.implement(broker, { run: () => ({ mark: "a", at: "" }) });
const g = await (await grade.kiq({ n: 1 })).result();
is<typeof g, { mark: "a" | "b"; at: Date }>(true);
const plain = contract({ name: "plain" });
export const plainTask = plain.implement(broker, { async run() {} });
await broker.bind({ plain }).plain.kiq();

// --- a date that travels as a string
export const at = broker.task({
  name: "at",
  input: z.object({ at: z.iso.datetime().transform((s) => new Date(s)) }),
  run({ at }) {
    return at.getTime();
  },
});
await at.kiq({ at: new Date().toISOString() });
// zod codec
const isoDate = z.codec(z.iso.datetime(), z.date(), { decode: (s) => new Date(s), encode: (d) => d.toISOString() });
export const at2 = broker.task({
  name: "at2",
  input: z.object({ at: isoDate }),
  run({ at }) {
    return at.getTime();
  },
});
await at2.kiq({ at: "2026-01-01T00:00:00Z" });

// --- other schema libraries, and none
export const viaValibot = broker.task({
  name: "v",
  input: v.object({ id: v.string() }),
  run({ id }) {
    return id;
  },
});
export const viaArk = broker.task({
  name: "k",
  input: type({ id: "string", "n?": "number" }),
  run({ id, n }) {
    return [id, n ?? 0] as const;
  },
});
export const viaNothing = broker.task({
  name: "u",
  input: unchecked<{ id: string }>(),
  run({ id }) {
    return id;
  },
});
await viaValibot.kiq({ id: "a" });
await viaArk.kiq({ id: "a" });
await viaNothing.kiq({ id: "a" });

// --- unions, recursive input, unknown metadata
interface Node {
  name: string;
  children: Node[];
}
const node: z.ZodType<Node, Node> = z.lazy(() => z.object({ name: z.string(), children: z.array(node) }));
export const tree = broker.task({
  name: "tree",
  input: node,
  run(n) {
    return n;
  },
});
export const meta = broker.task({
  name: "meta",
  input: z.discriminatedUnion("t", [
    z.object({ t: z.literal("a"), meta: z.record(z.string(), z.unknown()) }),
    z.object({ t: z.literal("b"), j: z.json() }),
  ]),
  run(i) {
    return i.t === "a" ? i.meta : i.j;
  },
});

// --- dispatching oneself without using the value in the result
export const crawl = broker.task({
  name: "crawl",
  input: z.object({ page: z.number() }),
  async run({ page }) {
    if (page < 3) {
      const h = await crawl.kiq({ page: page + 1 });
      console.log(h.id);
    }
    return { page };
  },
});
// ... and using it: the return type is written down
export const crawl2 = broker.task({
  name: "crawl2",
  input: z.object({ page: z.number() }),
  async run({ page }): Promise<{ next: string }> {
    const h = await crawl2.kiq({ page: page + 1 });
    return { next: h.id };
  },
});

// --- providers: the value's type comes out of `use`
interface Mailer {
  send(to: string): Promise<void>;
}
export const getMailer = provider({
  scope: "worker",
  async provide(_, use) {
    const mailer: Mailer = { async send() {} };
    try {
      return await use(mailer);
    } finally {
      /* close */
    }
  },
});
is<typeof getMailer, Provider<Mailer, "worker">>(true);
export const getContext = provider({
  deps: { db: getDbSession, logger: getLogger, run: getRun },
  provide: ({ db, logger, run }, use) => use({ db, logger, userOf: (id: string) => `${run.id}${id}` }),
});
is<typeof getContext, Provider<{ db: DbSession; logger: Logger; userOf: (id: string) => string }, "run">>(true);
export const withContext = broker.task({
  name: "ctx",
  deps: { ctx: getContext, mailer: getMailer },
  async run(_, { ctx, mailer }) {
    await mailer.send(ctx.userOf("x"));
  },
});

// --- call, overrides by name and by provider
await withContext.call({ mailer: { async send() {} } });
await withContext.call([override(getLogger, null as unknown as Logger), override(getMailer, { async send() {} })]);
await resize.call({ key: "x" });
await anyOrder.call({ a: "x" }, { n: 7 });

// --- cron
export const nightly = cron(broker, "0 3 * * *", {
  name: "nightly",
  timezone: "Europe/Berlin",
  lockTtl: "5m",
  misfire: "fire_all",
  async run(slot, _deps, run) {
    return { day: slot.at.toISOString().slice(0, 10), run: run.id };
  },
});
const n1 = (await (async () => (await nightly.trigger()).result())) satisfies () => Promise<{
  day: string;
  run: string;
}>;
n1;
const fromEnv: string = process.env["CRON"] ?? "0 3 * * *";
export const envCron = cron(broker, fromEnv, { name: "env", run() {} });

// --- contract: producer and worker apart
export const sendInvoice = contract({
  name: "send_invoice",
  input: z.object({ id: z.string(), at: z.iso.datetime().transform((s) => new Date(s)) }),
  output: z.object({ number: z.string() }),
});
const producer = broker.bind({ sendInvoice });
is<typeof producer.sendInvoice, TaskRef<{ id: string; at: string }, { number: string }>>(true);
const hi = await producer.sendInvoice.kiq({ id: "1", at: "2026-01-01T00:00:00Z" });
is<typeof hi, RunHandle<{ number: string }>>(true);
export const sendInvoiceTask = sendInvoice.implement(broker, {
  deps: { logger: getLogger },
  retry: { attempts: 9 },
  async run({ id, at }, { logger }) {
    logger.info({ at: at.getTime() });
    const again = await producer.sendInvoice.kiq({ id, at: at.toISOString() });
    return { number: again.id };
  },
});
// type-only producer
const typeOnly = broker.bind({
  resize: contract({ name: "resize", input: unchecked<{ key: string }>(), output: unchecked<{ ok: true }>() }),
});
await typeOnly.resize.kiq({ key: "a" });

// --- a function over any task with a given input
async function enqueueFor(task: TaskRef<{ userId: string }, unknown>, ids: string[]) {
  return task.kiqMany(ids.map((userId) => ({ userId })));
}
declare const narrow: Task<{ userId: string }, { done: boolean }, { db: DbSession }>;
declare const wide: Task<{ userId?: string }, void>;
if (Math.random() > 2) {
  await enqueueFor(narrow, []);
  await enqueueFor(wide, []);
}

// --- topics
export const userCreated = topic("user.created", z.object({ userId: z.string(), email: z.string() }));
declare const welcome: Task<{ userId: string }, void>;
if (Math.random() > 2) {
  broker.on(userCreated, welcome);
  broker.on(
    userCreated.map((event) => ({ key: event.data.email })),
    resize,
    { group: "resize", from: "start" },
  );
}
export const publishes = broker.task({
  name: "pub",
  deps: { events: getEventPublisher },
  run(_, { events }) {
    events.publish(userCreated, { userId: "a", email: "b" });
  },
});

// --- projections
export const failures = defineProjection({
  name: "failures",
  version: 1,
  table: {
    row: z.object({ fingerprint: z.string(), count: z.int(), lastMessage: z.string() }),
    ddl: "create table failures (…)",
  },
  events: ["run.failed", "run.died"],
  key: (event) => event.error?.fingerprint,
  fold: (row, event) => ({
    fingerprint: event.error?.fingerprint ?? "",
    count: (row?.count ?? 0) + 1,
    lastMessage: event.type === "run.failed" ? event.error.message : event.reason,
  }),
});
broker.project(failures);
is<typeof failures, Projection<{ fingerprint: string; count: number; lastMessage: string }>>(true);
export const all = defineProjection({
  name: "all",
  version: 1,
  table: { row: z.object({ id: z.string(), n: z.int() }), ddl: "" },
  key: (e) => ("run" in e ? e.run : undefined),
  fold(row, e) {
    switch (e.type) {
      case "run.failed":
        return { id: e.run, n: e.attempt };
      default:
        return { id: "x", n: (row?.n ?? 0) + 1 };
    }
  },
});
broker.project(all);
for await (const event of broker.events({ types: ["run.failed"], follow: true })) is<typeof event, LedgerEvent>(true);

// --- the ledger
export const _e = (e: LedgerEvent<"run.succeeded">): number => e.durationMs;

if (Math.random() > 2) await resize.kiqMany([{ key: "a" }, { key: "b" }], { key: (input) => `resize:${input.key}` });
// dispatcher variance still holds
const _d: TaskRef<{ key: string; width: number }, unknown> = resize;
void _d;

// --- schedules
const unattended = broker.task({ name: "unattended", run() {} });
if (Math.random() > 2) {
  await broker.schedules.upsert("weekly:7", {
    task: resize,
    cron: "0 9 * * 1",
    input: { key: "a" },
    timezone: "Europe/Berlin",
    lockTtl: "5m",
  });
  await broker.schedules.upsert("plain", { task: unattended, cron: "0 9 * * 1" });
  await broker.schedules.upsert("bound", { task: producer.sendInvoice, cron: "0 9 * * 1", input: { id: "1", at: "" } });
  const [state] = await broker.schedules.list();
  is<typeof state, ScheduleState | undefined>(true);
  const [run] = await broker.schedules.backfill("plain", { from: new Date(0), until: new Date() });
  is<typeof run, RunHandle<unknown> | undefined>(true);
}
