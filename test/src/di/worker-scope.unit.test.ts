// biome-ignore-all lint/suspicious/noExplicitAny: what the providers of these tests give has no one type
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Deps, override, type Provider, provider, type Use } from "../../../src/di/provider.ts";
import { withDeps } from "../../../src/di/resolve.ts";
import { openWorkerScope, type WorkerScope } from "../../../src/di/worker-scope.ts";
import type { RunContext } from "../../../src/run.ts";

const need = (scope: WorkerScope, deps: Deps) =>
  withDeps(deps, { scope, run: {} as RunContext }, (values: any) => values);

function traced(name: string, trail: string[], deps: Deps<"worker"> = {}) {
  return provider({
    scope: "worker",
    deps,
    async provide(_, use) {
      trail.push(`open ${name}`);
      try {
        return await use(name);
      } finally {
        trail.push(`close ${name}`);
      }
    },
  });
}

/** Mistakes that TypeScript would refuse, or that only happen. */
const careless = (provide: (deps: any, use: Use) => unknown) =>
  provider({ scope: "worker", provide: provide as never }) as Provider<any, "worker">;

test("a worker-scoped value is opened on first need, once for all who ask, and closed with its worker", async () => {
  const trail: string[] = [];
  const scope = openWorkerScope();
  const pool = traced("pool", trail);
  const again = await Promise.all([need(scope, { pool }), need(scope, { pool }), need(scope, { db: pool })]);
  assert.deepEqual(again, [{ pool: "pool" }, { pool: "pool" }, { db: "pool" }]);
  assert.deepEqual(trail, ["open pool"]);
  await scope.close();
  assert.deepEqual(trail, ["open pool", "close pool"]);
});

test("what nobody needed is not opened, and closing it is nothing", async () => {
  const trail: string[] = [];
  traced("pool", trail);
  await openWorkerScope().close();
  assert.deepEqual(trail, []);
});

test("values close in reverse order, so that what is needed outlives what needs it", async () => {
  const trail: string[] = [];
  const scope = openWorkerScope();
  const config = traced("config", trail);
  const pool = traced("pool", trail, { config });
  const cache = traced("cache", trail, { pool });
  await Promise.all([need(scope, { cache }), need(scope, { pool }), need(scope, { config })]);
  await scope.close();
  assert.deepEqual(trail, ["open config", "open pool", "open cache", "close cache", "close pool", "close config"]);
});

test("an opening that fails is tried again by the next who asks", async () => {
  let tries = 0;
  const scope = openWorkerScope();
  const flaky = careless(async (_, use) => {
    if (++tries < 3) throw new Error(`refused ${tries}`);
    return use("up");
  });
  const both = await Promise.allSettled([need(scope, { flaky }), need(scope, { flaky })]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(tries, 1, "they shared one opening");
  await assert.rejects(async () => need(scope, { flaky }), /refused 2/);
  assert.deepEqual(await need(scope, { flaky }), { flaky: "up" });
  await scope.close();
});

test("a value that ends before its worker is reported, and opened again at the next need", async () => {
  const reports: string[] = [];
  const scope = openWorkerScope({ report: (problem) => reports.push(problem) });
  const crash = Promise.withResolvers<never>();
  let opened = 0;
  const fragile = careless((_, use) => {
    const value = `v${++opened}`;
    return opened === 1 ? Promise.race([use(value), crash.promise]) : use(value);
  });
  assert.deepEqual(await need(scope, { fragile }), { fragile: "v1" });
  crash.reject(new Error("pool has gone"));
  await new Promise(setImmediate);
  assert.match(reports.join(), /"fragile" ended while its worker needed it/);
  assert.deepEqual(await need(scope, { fragile }), { fragile: "v2" });
  await scope.close();
});

test("a provider that does not wait for use is told so", async () => {
  const reports: unknown[] = [];
  const scope = openWorkerScope({ report: (_, error) => reports.push(error) });
  const hasty = careless(async (_, use) => {
    void use("closed already");
  });
  await need(scope, { hasty });
  await new Promise(setImmediate);
  assert.match(String(reports[0]), /provider "hasty" returned before its worker had stopped/);
  await scope.close();
});

test("a provider that never calls use is told so", async () => {
  const scope = openWorkerScope();
  await assert.rejects(
    async () => need(scope, { idle: careless(async () => undefined) }),
    /"idle" returned without calling use/,
  );
  await scope.close();
});

test("all of them are closed even when some do not close well, and the errors are told together", async () => {
  const trail: string[] = [];
  const scope = openWorkerScope();
  const bad = (name: string) =>
    careless(async (_, use) => {
      await use(name);
      throw new Error(`${name} stuck`);
    });
  await need(scope, { one: bad("one"), good: traced("good", trail), two: bad("two") });
  await assert.rejects(scope.close(), (error: AggregateError) => {
    assert.deepEqual(error.errors.map(String), ["Error: two stuck", "Error: one stuck"]);
    return true;
  });
  assert.deepEqual(trail, ["open good", "close good"]);
});

test("a second use is refused while the first value stays open", async () => {
  const seen: unknown[] = [];
  await using scope = openWorkerScope();
  const twice = careless((_, use) => {
    const used = use("first");
    void use("second").catch((error) => seen.push(error));
    return used;
  });
  assert.deepEqual(await need(scope, { twice }), { twice: "first" });
  assert.match(String(seen[0]), /provider "twice" called use\(\) twice/);
});

test("the order of a task's dependencies is worked out once", () => {
  const scope = openWorkerScope();
  const deps = { pool: traced("pool", []) };
  assert.equal(scope.plan(deps), scope.plan(deps));
});

test("one error of closing is thrown as it is", async () => {
  const scope = openWorkerScope();
  await need(scope, {
    stuck: careless(async (_, use) => {
      await use(1);
      throw new Error("stuck");
    }),
  });
  await assert.rejects(scope.close(), /^Error: stuck$/);
});

test("closing waits for what is just being opened, and closes that too", async () => {
  const trail: string[] = [];
  const gate = Promise.withResolvers<void>();
  const scope = openWorkerScope();
  const slow = careless(async (_, use) => {
    await gate.promise;
    try {
      return await use("slow");
    } finally {
      trail.push("closed");
    }
  });
  const asked = need(scope, { slow });
  const closed = scope.close();
  gate.resolve();
  await Promise.all([asked, closed]);
  assert.deepEqual(trail, ["closed"]);
});

test("nothing is opened after the worker has closed", async () => {
  const scope = openWorkerScope();
  await scope.close();
  await assert.rejects(
    async () => need(scope, { pool: traced("pool", []) }),
    /"pool" is asked for after its worker has closed/,
  );
});

test("an override is not opened, nor what it alone would have needed", async () => {
  const trail: string[] = [];
  const pool = traced("pool", trail, { config: traced("config", trail) });
  await using scope = openWorkerScope({ overrides: [override(pool, "fake")] });
  assert.deepEqual(await need(scope, { pool }), { pool: "fake" });
  assert.deepEqual(trail, []);
});

test("a falsy value is a value", async () => {
  await using scope = openWorkerScope({ leaves: { getBroker: undefined } });
  const zero = provider({ scope: "worker", provide: (_, use) => use(0) });
  assert.deepEqual(await need(scope, { zero }), { zero: 0 });
  assert.deepEqual(need(scope, { zero }), { zero: 0 });
});
