import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planOf } from "../../../src/di/graph.ts";
import { getRun } from "../../../src/di/leaves.ts";
import { overridesOf } from "../../../src/di/overrides.ts";
import { type Deps, override, type ProviderRecord, provider, type Use } from "../../../src/di/provider.ts";

const make = (deps: Deps = {}, scope: "run" | "worker" = "run") =>
  provider({ scope, deps, provide: (_: unknown, use: Use) => use(1) } as never) as unknown as ProviderRecord;
const plan = (deps: Record<string, unknown>) => planOf(deps as Deps, () => false);
const mutable = (one: ProviderRecord) => one.deps as Record<string, ProviderRecord>;

test("each provider stands after those that it needs, once, and by the names that lead to it", () => {
  const pool = make({}, "worker");
  const tx = make({ pool, run: getRun });
  const repo = make({ tx });
  const { workerScoped, runScoped } = plan({ repo, tx });
  assert.deepEqual(workerScoped, [{ provider: pool, name: "repo.tx.pool" }]);
  assert.deepEqual(runScoped, [
    { provider: tx, name: "repo.tx" },
    { provider: repo, name: "repo" },
  ]);
});

test("what is replaced is not opened, nor what it alone needs", () => {
  const pool = make({}, "worker");
  const tx = make({ pool });
  const { workerScoped, runScoped } = planOf({ repo: make({ tx }) } as Deps, (one) => one === tx);
  assert.deepEqual([workerScoped.length, runScoped.length], [0, 1]);
});

test("any order of needs is kept", () => {
  // Provider i may need those before it: every graph without a circle looks like that in some order.
  const graphs = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(graphs, fc.nat(), (needs, asked) => {
      const all: ProviderRecord[] = [];
      for (const [index, some] of needs.entries()) {
        const deps = Object.fromEntries(
          some.map((need) => [`p${need % index || 0}`, all[need % index || 0]]).filter(([, one]) => one !== undefined),
        );
        all.push(make(deps as Deps));
      }
      const order = plan({ root: all[asked % all.length] }).runScoped.map((step) => step.provider);
      assert.equal(new Set(order).size, order.length);
      for (const [index, one] of order.entries()) {
        for (const dep of Object.values(one.deps))
          assert.ok(order.indexOf(dep) < index, "a need stands before who needs it");
      }
    }),
  );
});

test("an undefined provider is explained as a circular import, where it is declared", () => {
  assert.throws(
    () => make({ pool: undefined } as never),
    /deps\.pool: undefined when a provider was declared: .* Two modules import each other/,
  );
  assert.throws(() => make({ pool: 5 } as never), /deps\.pool: not a provider/);
  assert.throws(() => provider({ provide: 5 } as never), /provide: a provider needs a function that calls use/);
  assert.throws(() => make({}, "process" as never), /scope: "process" is neither "run" nor "worker"/);
});

test("a provider that has become undefined since is explained when it is needed", () => {
  const repo = make();
  mutable(repo)["pool"] = undefined as never;
  assert.throws(() => plan({ repo }), {
    code: "provider_misused",
    message: /deps\.repo\.pool is undefined: when two modules import each other/,
  });
});

test("a circle is told by its names", () => {
  const a = make();
  const b = make({ a });
  mutable(a)["b"] = b;
  assert.throws(() => plan({ a }), /need each other in a circle: a -> a\.b -> a\.b\.a/);
});

test("a worker-scoped provider cannot need what ends with a run", () => {
  assert.throws(
    () => plan({ pool: make({ tx: make() }, "worker") }),
    /"pool" lives as long as its worker, and cannot need "pool\.tx"/,
  );
  assert.throws(() => plan({ pool: make({ run: getRun }, "worker") }), /cannot need "pool\.run"/);
});

test("overrides by name become overrides by provider", () => {
  const db = make();
  const logger = make();
  const task = { name: "t", deps: { db, logger } as Deps };
  assert.deepEqual(overridesOf(task, { db: "fake" }), [
    { kind: "tasktrail.override", provider: db, replacement: "fake" },
  ]);
  assert.deepEqual(overridesOf(task, undefined), []);
  assert.deepEqual(overridesOf(task, { db: undefined }), []);
  const byProvider = [override(logger, "l")];
  assert.deepEqual(overridesOf(task, byProvider), byProvider);
  assert.throws(
    () => overridesOf(task, { loger: 1 }),
    /overrides\.loger: task "t" has no such dependency\. Did you mean "logger"\?/,
  );
  assert.throws(() => overridesOf(task, [{} as never]), /takes what override\(provider, value\) gives/);
  assert.throws(() => override(5 as never, 1), /the first argument is not a provider/);
});
