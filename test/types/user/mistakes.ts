// biome-ignore-all lint: each of these is a mistake on purpose
// biome-ignore-all format: a mistake stands on one line
// Mistakes that must not compile, with the last line of what TypeScript 7 says. Numbers that are missing belong to what comes later.
import { contract, createBroker, cron, defineProjection, override, provider, type Task, topic } from "tasktrail";
import { getDbSession, getEventPublisher, getLogger, getRedis } from "tasktrail/deps";
import { z } from "zod";

const broker = createBroker();
const ok = broker.task({ name: "ok", input: z.object({ userId: z.string() }), deps: { db: getDbSession, logger: getLogger }, async run({ userId }, { db }) { db; return { userId }; } });
const input = z.object({ userId: z.string() });
const none = broker.task({ name: "none", run() {} });

// [01] wrong input type
//   Type 'number' is not assignable to type 'string'.
ok.kiq({ userId: 5 });
// [02] misspelt input field
//   Object literal may only specify known properties, but 'userID' does not exist in type '{ userId: string; }'. Did you mean to write 'userId'?
ok.kiq({ userID: "a" });
// [03] missing input
//   Expected 1 arguments, but got 0.
ok.kiq();
// [04] input for a task without one
//   Expected 0 arguments, but got 1.
none.kiq({ a: 1 });
// [05] unknown field of input in the handler
//   Property 'userID' does not exist on type '{ userId: string; }'.
broker.task({ name: "x", input, run({ userID }) { userID; } });
// [06] unknown dependency in the handler
//   Property 'dbb' does not exist on type '{ db: DbSession; }'.
broker.task({ name: "x", deps: { db: getDbSession }, run(_, { dbb }) { dbb; } });
// [07] wrong use of a dependency
//   Property 'inf' does not exist on type 'Logger'. Did you mean 'info'?
broker.task({ name: "x", deps: { logger: getLogger }, run(_, { logger }) { logger.inf("x"); } });
// [08] misspelt option
//   Object literal may only specify known properties, but 'timout' does not exist in type 'TaskDefinition<Schema<undefined, undefined>, {}, void>'. Did you mean to write 'timeout'?
broker.task({ name: "x", timout: "30s", run() {} });
// [09] misspelt nested option
//   Object literal may only specify known properties, but 'attemps' does not exist in type 'RetryPolicy'. Did you mean to write 'attempts'?
broker.task({ name: "x", retry: { attemps: 5 }, run() {} });
// [10] duplicate option
//   An object literal cannot have multiple properties with the same name.
broker.task({ name: "x", timeout: "30s", timeout: "40s", run() {} });
// [11] duration without a unit
//   Type 'number' is not assignable to type 'Duration | undefined'.
broker.task({ name: "x", timeout: 30, run() {} });
// [12] duration with a wrong unit
//   Type '"30 seconds"' is not assignable to type 'Duration | undefined'.
broker.task({ name: "x", timeout: "30 seconds", run() {} });
// [13] duration, unit misspelt
//   Type '"10min"' is not assignable to type 'Duration | undefined'.
ok.with({ delay: "10min" });
// [14] misspelt dispatch option
//   Object literal may only specify known properties, but 'dely' does not exist in type 'DispatchOptions'. Did you mean to write 'delay'?
ok.with({ dely: "10m" });
// [15] backoff misspelt
//   Type '"exponental"' is not assignable to type '"exponential" | "fixed" | ((attempt: number, error: unknown) => Duration) | undefined'. Did you mean '"exponential"'?
broker.task({ name: "x", retry: { backoff: "exponental" }, run() {} });
// [16] Date in the input
//   Type 'ZodObject<{ at: ZodDate; }, $strip>' is not assignable to type '"input.at is a Date, which JSON has not: use a string, as date.toISOString() gives"'.
broker.task({ name: "x", input: z.object({ at: z.date() }), run() {} });
// [17] BigInt in the input
//   Type 'ZodObject<{ n: ZodObject<{ m: ZodBigInt; }, $strip>; }, $strip>' is not assignable to type '"input.n.m is a bigint, which JSON has not: use a string"'.
broker.task({ name: "x", input: z.object({ n: z.object({ m: z.bigint() }) }), run() {} });
// [18] Map in the input
//   Type 'ZodObject<{ m: ZodMap<ZodString, ZodString>; }, $strip>' is not assignable to type '"input.m is a Map, which JSON has not: use an object, as Object.fromEntries(map) gives"'.
broker.task({ name: "x", input: z.object({ m: z.map(z.string(), z.string()) }), run() {} });
// [19] Date in the result
//   Type '() => Promise<{ at: Date; }>' is not assignable to type '"result.at is a Date, which JSON has not: use a string, as date.toISOString() gives"'.
broker.task({ name: "x", async run() { return { at: new Date() }; } });
// [20] BigInt in the result
//   Type '(this: void, { userId }: { userId: string; }) => Promise<{ rows: { userId: string; n: bigint; }[]; }>' is not assignable to type '"result.rows[].n is a bigint, which JSON has not: use a string"'.
broker.task({ name: "x", input, async run({ userId }) { return { rows: [{ userId, n: 1n }] }; } });
// [21] Map result
//   Type '() => Map<string, number>' is not assignable to type '"result is a Map, which JSON has not: use an object, as Object.fromEntries(map) gives"'.
broker.task({ name: "x", run: () => new Map([["a", 1]]) });
// [22] run handle as a result
//   Type '() => Promise<RunHandle<{ userId: string; }>>' is not assignable to type '"result is a run handle: use its id, or await its result()"'.
broker.task({ name: "x", run: () => ok.kiq({ userId: "a" }) });
// [23] wrong result use
//   Property 'userID' does not exist on type '{ userId: string; }'. Did you mean 'userId'?
async function f() { const r = await (await ok.kiq({ userId: "a" })).result(); r.userID; }
// [24] output given to a task in one piece
//   Object literal may only specify known properties, and 'output' does not exist in type 'TaskDefinition<Schema<undefined, undefined>, {}, { a: string; }>'.
broker.task({ name: "x", output: z.object({ a: z.string() }), async run() { return { a: "1" }; } });
// [25] wrong literal against a contract's output
//   Type '"c"' is not assignable to type '"a" | "b"'.
contract({ name: "x", output: z.object({ mark: z.enum(["a", "b"]) }) }).implement(broker, { async run() { return { mark: "c" }; } });
// [26] run forgotten
//   Property 'run' is missing in type '{ name: string; input: z.ZodObject<{ userId: z.ZodString; }, z.core.$strip>; }' but required in type 'TaskDefinition<ZodObject<{ userId: ZodString; }, $strip>, {}, void>'.
broker.task({ name: "x", input });
// [27] name forgotten
//   Property 'name' is missing in type '{ input: z.ZodObject<{ userId: z.ZodString; }, z.core.$strip>; run(): void; }' but required in type 'TaskDefinition<ZodObject<{ userId: ZodString; }, $strip>, {}, void>'.
broker.task({ input, run() {} });
// [28] dep is not a provider
//   Type 'number' is not assignable to type 'Provider<any, Scope>'.
broker.task({ name: "x", deps: { db: 5 }, run() {} });
// [29] dep is a function
//   Type '() => number' is not assignable to type 'Provider<any, Scope>'.
broker.task({ name: "x", deps: { db: () => 5 }, run() {} });
// [30] provider forgets use
//   Type 'void' is not assignable to type 'Used<unknown>'.
provider({ provide: async (_, use) => { await use(5); } });
// [31] provider returns the value
//   Type 'number' is not assignable to type 'Used<unknown>'.
provider({ provide: async () => 5 });
// [32] worker-scoped needs run-scoped
//   Type 'Provider<DbSession, "run">' is not assignable to type '"a worker-scoped provider outlives its runs and cannot need a run-scoped one"'.
provider({ scope: "worker", deps: { db: getDbSession }, provide: ({ db }, use) => use(db) });
// [33] scope misspelt
//   Type '"process"' is not assignable to type 'Scope | undefined'.
provider({ scope: "process", provide: (_, use) => use(1) });
// [34] override of the wrong type
//   Type 'number' is not assignable to type 'BaseLogger'.
ok.call({ userId: "a" }, { logger: 5 });
// [35] override of an unknown name
//   Object literal may only specify known properties, and 'loger' does not exist in type 'Partial<{ db: DbSession; logger: Logger; }> | readonly Override[]'.
ok.call({ userId: "a" }, { loger: null });
// [36] override by provider, wrong type
//   Argument of type 'number' is not assignable to parameter of type 'Redis<"legacy">'.
override(getRedis, 5);
// [37] six cron fields
//   Argument of type '"0 0 */6 * * *"' is not assignable to parameter of type '"six fields: seconds are not supported; write minute, hour, day of month, month, day of week"'.
cron(broker, "0 0 */6 * * *", { name: "c", run() {} });
// [38] four cron fields
//   Argument of type '"0 */6 * *"' is not assignable to parameter of type '"a cron expression has five fields: minute, hour, day of month, month, day of week"'.
cron(broker, "0 */6 * *", { name: "c", run() {} });
// [39] cron with an input schema
//   Object literal may only specify known properties, and 'input' does not exist in type 'CronDefinition<{}, void>'.
cron(broker, "0 */6 * * *", { name: "c", input, run() {} });
// [40] lockTtl as a string without a unit
//   Type '"300"' is not assignable to type 'number | Duration | undefined'.
cron(broker, "0 */6 * * *", { name: "c", lockTtl: "300", run() {} });
// [41] contract and handler disagree
//   Type 'string' is not assignable to type 'number'.
const k = contract({ name: "k", input, output: z.object({ n: z.number() }) });
k.implement(broker, { async run({ userId }) { return { n: userId }; } });
// [42] producer of a contract, wrong input
//   Type 'number' is not assignable to type 'string'.
broker.bind({ k }).k.kiq({ userId: 1 });
// [43] publishing what is not the topic's
//   Object literal may only specify known properties, and 'userId' does not exist in type '{ id: string; }'.
const t = topic("user.created", z.object({ id: z.string() }));
broker.task({ name: "x", deps: { events: getEventPublisher }, run(_, { events }) { events.publish(t, { userId: "a" }); } });
// [64] topic against task
//   Property 'userId' is missing in type '{ id: string; }' but required in type '{ userId: string; }'.
broker.on(t, ok);
// [44] topic with a Date
//   Type 'ZodObject<{ at: ZodDate; }, $strip>' is not assignable to type '"data.at is a Date, which JSON has not: use a string, as date.toISOString() gives"'.
topic("x", z.object({ at: z.date() }));
// [45] projection: event type misspelt
//   Did you mean '"run.failed"'?
defineProjection({ name: "p", version: 1, table: { name: "p", row: z.object({ id: z.string() }), ddl: "" }, events: ["run.faild"], key: (e) => e.run, fold: (_r, e) => ({ id: e.run }) });
// [46] projection: field that this event has not
//   Property 'reason' does not exist on type '{ readonly type: "run.failed"; }
defineProjection({ name: "p", version: 1, table: { name: "p", row: z.object({ id: z.string() }), ddl: "" }, events: ["run.failed"], key: (e) => e.run, fold: (_r, e) => ({ id: e.reason }) });
// [47] projection: row misses a column
//   Property 'n' is missing in type '{ readonly id: string; }' but required in type '{ readonly id: string; readonly n: number; }'.
defineProjection({ name: "p", version: 1, table: { name: "p", row: z.object({ id: z.string(), n: z.number() }), ddl: "" }, events: ["run.failed"], key: (e) => e.run, fold: (_r, e) => ({ id: e.run }) });
// [48] task with more input than given where less is promised
//   Property 'b' is missing in type '{ a: string; }' but required in type '{ a: string; b: number; }'.
const g = (task: Task<{ a: string }, unknown>) => task; declare const more: Task<{ a: string; b: number }, void>; g(more);
// [49] await forgotten
//   Property 'id' does not exist on type 'Promise<RunHandle<{ userId: string; }>>'.
async function q() { const r = ok.kiq({ userId: "a" }); r.id; }
// [50] a non-schema as input
//   Object literal may only specify known properties, and 'userId' does not exist in type 'Schema<any, any>'.
broker.task({ name: "x", input: { userId: "string" }, run() {} });
// [51] this inside run
//   Property 'nam' does not exist on type 'void'.
broker.task({ name: "x", run() { return this.nam; } });
// [52] kiqMany wrong element
//   Type 'number' is not assignable to type 'string'.
ok.kiqMany([{ userId: "a" }, { userId: 2 }]);
// [53] class instance with methods in the result
//   Type '() => { price: Money; }' is not assignable to type '"result.price.plus is a function, which JSON has not"'.
class Money { n = 1; constructor(n: number) { this.n = n; } plus() { return this; } }
broker.task({ name: "x", run: () => ({ price: new Money(1) }) });
// [54] nothing returned where the contract promises something
//   Type 'void' is not assignable to type '{ a: string; }'.
contract({ name: "x", output: z.object({ a: z.string() }) }).implement(broker, { async run() {} });
// [55] something returned where the contract promises nothing
//   Type '{ a: number; }' is not assignable to type 'void'.
contract({ name: "x" }).implement(broker, { async run() { return { a: 1 }; } });
// [56] contract: Date in the output's input side
//   Type 'ZodObject<{ at: ZodDate; }, $strip>' is not assignable to type '"result.at is a Date, which JSON has not: use a string, as date.toISOString() gives"'.
contract({ name: "x", output: z.object({ at: z.date() }) });
// [57] contract with a handler
//   Object literal may only specify known properties, and 'run' does not exist in type 'ContractDefinition<Schema<undefined, undefined>, Schema<void, void>>'.
contract({ name: "x", run() {} });
// [58] bind of something else
//   Type 'Task<{ userId: string; }, { userId: string; }, { db: DbSession; logger: Logger; }>' is missing the following properties from type 'Contract<any, any, any, any>': kind, queue, version, input, and 2 more.
broker.bind({ ok });
// [59] await the query builder? a thenable as result
//   Type 'undefined' is not assignable to type '(v: number) => void'.
broker.task({ name: "x", run: () => ({ then(_f: (v: number) => void) {} }) });
// [60] schedule: wrong input
//   Type 'number' is not assignable to type 'string'.
broker.schedules.upsert("x", { task: ok, cron: "0 9 * * 1", input: { userId: 5 } });
// [61] schedule: input missing
//   Property 'input' is missing
broker.schedules.upsert("x", { task: ok, cron: "0 9 * * 1" });
// [62] schedule: six fields
//   six fields: seconds are not supported
broker.schedules.upsert("x", { task: none, cron: "0 0 9 * * 1" });
// [63] schedule: misspelt option
//   'timezon'
broker.schedules.upsert("x", { task: none, cron: "0 9 * * 1", timezon: "UTC" });
// [64] projection: a property that the row has not
//   is not assignable to type '"the row has no column n"'.
defineProjection({ name: "p", version: 1, table: { row: z.object({ id: z.string() }), ddl: "" }, events: ["run.failed"], key: (e) => e.run, fold: (_r, e) => ({ id: e.run, n: 1 }) });
