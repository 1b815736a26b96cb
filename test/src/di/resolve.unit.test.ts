// biome-ignore-all lint/suspicious/noExplicitAny: what the providers of these tests give has no one type
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { getBroker, getRun } from "../../../src/di/leaves.ts";
import { type Deps, override, type Provider, provider, type Use } from "../../../src/di/provider.ts";
import { withDeps } from "../../../src/di/resolve.ts";
import { openWorkerScope, type WorkerScope } from "../../../src/di/worker-scope.ts";
import { isTasktrailError } from "../../../src/errors.ts";
import type { RunContext } from "../../../src/run.ts";

const run = { id: "r1" } as RunContext;
const inRun = <T>(deps: Deps, inside: (values: any) => T | Promise<T>, scope: WorkerScope = openWorkerScope()) =>
  withDeps(deps, { scope, run }, inside);

/** A provider that writes down what happens to it. */
function traced(name: string, trail: string[], deps: Deps = {}) {
  return provider({
    deps,
    async provide(values, use) {
      trail.push(`open ${name}(${Object.values(values).join()})`);
      try {
        const used = await use(name);
        trail.push(`commit ${name}`);
        return used;
      } catch (error) {
        trail.push(`roll back ${name}`);
        throw error;
      }
    },
  });
}

/** Mistakes that TypeScript would refuse. */
const careless = (provide: (deps: any, use: Use) => unknown) =>
  provider({ provide: provide as never }) as Provider<any, "run">;

test("providers open in order around the handler, each once, and close in reverse", async () => {
  const trail: string[] = [];
  const tx = traced("tx", trail);
  const repo = traced("repo", trail, { tx });
  const mail = traced("mail", trail, { repo, tx });
  const result = await inRun({ mail, tx }, (values) => {
    trail.push(`run(${Object.entries(values).join(" ")})`);
    return 5;
  });
  assert.equal(result, 5);
  assert.deepEqual(trail, [
    "open tx()",
    "open repo(tx)",
    "open mail(repo,tx)",
    "run(mail,mail tx,tx)",
    "commit mail",
    "commit repo",
    "commit tx",
  ]);
});

test("a handler that throws has everything rolled back, and its own error is what is thrown", async () => {
  const trail: string[] = [];
  const tx = traced("tx", trail);
  const boom = new Error("boom");
  const failed = inRun({ repo: traced("repo", trail, { tx }) }, () => Promise.reject(boom));
  await assert.rejects(
    async () => failed,
    (error) => error === boom,
  );
  assert.deepEqual(trail, ["open tx()", "open repo(tx)", "roll back repo", "roll back tx"]);
});

test("a provider that swallows an error does not turn a failure into a success", async () => {
  const trail: string[] = [];
  const swallows = careless(async (_, use) => use(1).catch(() => "all is well"));
  const deps = { tx: traced("tx", trail), swallows };
  await assert.rejects(async () => inRun(deps, () => Promise.reject(new Error("kept"))), /kept/);
  assert.deepEqual(trail, ["open tx()", "roll back tx"], "what is outside of it rolls back as well");
});

test("a commit that fails is a failure of the attempt, and what is outside of it rolls back", async () => {
  const trail: string[] = [];
  const late = provider({
    async provide(_, use) {
      const used = await use("db");
      if (trail.length > 0) throw new Error("could not serialize");
      return used;
    },
  });
  await assert.rejects(async () => inRun({ tx: traced("tx", trail), late }, () => "done"), /could not serialize/);
  assert.deepEqual(trail, ["open tx()", "roll back tx"]);
});

test("the handler's error goes before that of a rollback, which is reported", async () => {
  const reports: [string, unknown][] = [];
  const scope = openWorkerScope({ report: (...args) => reports.push(args) });
  const lost = new Error("connection lost");
  const db = careless((_, use) => use("db").catch(() => Promise.reject(lost)));
  await assert.rejects(async () => inRun({ db }, () => Promise.reject(new Error("boom")), scope), /boom/);
  assert.deepEqual(reports, [['"db" did not close well', lost]]);
});

test("an error that a provider only wraps is not reported", async () => {
  const scope = openWorkerScope({ report: () => assert.fail("reported") });
  const wraps = careless((_, use) => use(1).catch((cause) => Promise.reject(new Error("wrapped", { cause }))));
  await assert.rejects(async () => inRun({ wraps }, () => Promise.reject(new Error("boom")), scope), /boom/);
});

test("a provider that does not open keeps the handler from being called", async () => {
  const trail: string[] = [];
  const deps = { tx: traced("tx", trail), down: careless(() => Promise.reject(new Error("refused"))) };
  await assert.rejects(async () => inRun(deps, () => assert.fail("called")), /refused/);
  const throwsAtOnce = careless(() => {
    throw new Error("at once");
  });
  await assert.rejects(async () => inRun({ throwsAtOnce }, () => assert.fail("called")), /at once/);
  assert.deepEqual(trail, ["open tx()", "roll back tx"]);
});

test("a provider that never calls use is told so", async () => {
  const deps = { outer: provider({ deps: { inner: careless(async () => undefined) }, provide: (_, use) => use(1) }) };
  await assert.rejects(
    async () => inRun(deps, () => assert.fail("called")),
    (error: Error) => {
      assert.ok(isTasktrailError(error, "provider_misused"));
      return /provider "outer\.inner" returned without calling use\(value\)/.test(error.message);
    },
  );
});

test("a second use runs nothing, and fails the attempt even when the provider hides it", async () => {
  let calls = 0;
  const repeats = careless(async (_, use) => {
    const used = await use(1);
    await use(2).catch(() => {});
    return used;
  });
  await assert.rejects(
    async () => inRun({ repeats }, () => calls++),
    (error: Error) => {
      assert.ok(isTasktrailError(error, "provider_misused"));
      return /called use\(\) twice.*retryLimit 0/.test(error.message);
    },
  );
  assert.equal(calls, 1);
});

test("a library that repeats a transaction after the handler has failed gets the handler's error through", async () => {
  let calls = 0;
  const repeats = careless(async (_, use) => use(1).catch(() => use(2)));
  await assert.rejects(
    async () =>
      inRun({ repeats }, () => {
        calls++;
        throw new Error("deadlock");
      }),
    /deadlock/,
  );
  assert.equal(calls, 1);
});

test("a provider that gives up early is waited for until the handler has ended", async () => {
  const trail: string[] = [];
  const gate = Promise.withResolvers<void>();
  const impatient = careless(async (_, use) => {
    void use(1);
    trail.push("gave up");
    throw new Error("too slow");
  });
  const failed = inRun({ impatient }, async () => {
    await gate.promise;
    trail.push("handler ended");
  });
  setImmediate(gate.resolve);
  await assert.rejects(async () => failed, /too slow/);
  assert.deepEqual(trail, ["gave up", "handler ended"]);
});

test("a use that nobody looks at leaves no rejection behind", async () => {
  const ignores = careless(async (_, use) => {
    void use(1);
  });
  await assert.rejects(async () => inRun({ ignores }, () => Promise.reject(new Error("boom"))), /boom/);
  await new Promise(setImmediate); // where an unhandled rejection would end the process
});

test("leaves have the values of the run and the worker at hand", async () => {
  const scope = openWorkerScope({ leaves: { getBroker: "the broker" } });
  const ids = provider({
    deps: { run: getRun, broker: getBroker },
    provide: ({ run: at, broker }, use) => use(`${at.id} ${broker}`),
  });
  assert.equal(await inRun({ ids }, ({ ids: seen }) => seen, scope), "r1 the broker");
  assert.equal(await inRun({ run: getRun }, (values) => values.run), run);
  assert.throws(() => inRun({ broker: getBroker }, () => 1), /"broker" is getBroker, which has no value here/);
});

test("a leaf of another copy of the package is the same leaf", async () => {
  const theirs = { kind: "tasktrail.provider", scope: "run", deps: {}, leaf: "getRun" } as unknown as typeof getRun;
  assert.equal(await inRun({ run: theirs }, (values) => values.run), run);
});

test("an override stands in wherever the provider is needed, and nothing of it is opened", async () => {
  const trail: string[] = [];
  const pool = traced("pool", trail);
  const tx = traced("tx", trail, { pool });
  const repo = traced("repo", trail, { tx });
  const scope = openWorkerScope({
    overrides: [override(tx, "fake"), override(getRun, { id: "fake run" } as RunContext)],
  });
  const seen = await inRun({ repo, tx, run: getRun }, (values) => [values.tx, values.run.id], scope);
  assert.deepEqual(seen, ["fake", "fake run"]);
  assert.deepEqual(trail, ["open repo(fake)", "commit repo"]);
});

test("a value that can be awaited is handed on as it is", async () => {
  // biome-ignore lint/suspicious/noThenProperty: that is the case
  const query = { then: () => assert.fail("awaited") };
  const lazy = provider({ scope: "worker", provide: (_, use) => use(query) });
  const bare = provider({ provide: (_, use) => use(query) });
  await using scope = openWorkerScope();
  assert.equal(await inRun({ lazy, bare }, (values) => values.bare === query && values.lazy === query, scope), true);
});

test("a task without dependencies makes no promise, nor does one whose worker-scoped values are open", async () => {
  const untouched = new Proxy({} as WorkerScope, { get: () => assert.fail("the scope was asked") });
  assert.equal(
    inRun({}, () => 5, untouched),
    5,
  );
  assert.equal(
    inRun({ run: getRun }, () => 5),
    5,
  );
  await using scope = openWorkerScope();
  const pool = provider({ scope: "worker", provide: (_, use) => use("pool") });
  const first = inRun({ pool }, (values) => values.pool, scope);
  assert.ok(first instanceof Promise);
  assert.equal(await first, "pool");
  assert.equal(
    inRun({ pool }, (values) => values.pool, scope),
    "pool",
  );
});

test("whatever goes wrong where, the attempt succeeds only when nothing did, and all that was opened is closed", async () => {
  const behaviour = fc.constantFrom(
    "well",
    "well",
    "opens badly",
    "closes badly",
    "swallows",
    "swallows and closes badly",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(behaviour, { maxLength: 6 }), fc.boolean(), async (behaviours, isHandlerFine) => {
      const trail: string[] = [];
      const deps = Object.fromEntries(
        behaviours.map((how, index) => [
          `p${index}`,
          careless(async (_, use) => {
            if (how === "opens badly") throw new Error(`open ${index}`);
            trail.push(`open ${index}`);
            const used = await (how.startsWith("swallows") ? use(index).catch(() => "hidden") : use(index)).finally(
              () => trail.push(`close ${index}`),
            );
            if (how.endsWith("closes badly")) throw new Error(`close ${index}`);
            return used;
          }),
        ]),
      );
      const isOpen = behaviours.indexOf("opens badly");
      const opened = isOpen < 0 ? behaviours.length : isOpen;
      // Outwards from the handler, the first that goes wrong is what the attempt fails with.
      const inward = isOpen >= 0 ? `open ${isOpen}` : isHandlerFine ? undefined : "handler";
      const lastBad = behaviours.slice(0, opened).findLastIndex((how) => how.endsWith("closes badly"));
      const expected = inward ?? (lastBad < 0 ? undefined : `close ${lastBad}`);
      const outcome = await Promise.resolve(
        inRun(deps, async () => {
          if (!isHandlerFine) throw new Error("handler");
        }),
      ).then(
        () => undefined,
        (error: Error) => error.message,
      );
      assert.equal(outcome, expected);
      const names = Array.from({ length: opened }, (_, index) => index);
      assert.deepEqual(trail, [
        ...names.map((index) => `open ${index}`),
        ...names.reverse().map((index) => `close ${index}`),
      ]);
    }),
    { numRuns: 300 },
  );
});
