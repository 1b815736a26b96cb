import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../../src/dev/start-redis.ts";
import { benches } from "./all.ts";
import type { Bench, Setting, StartStep } from "./bench.ts";

/** Steps in this process: what they find is no measurement, but they do what they do. */
function here(bench: Bench, setting: Setting): StartStep {
  return (step, part = {}) => {
    const stopping = new AbortController();
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const play = bench.steps[step];
    assert.ok(play !== undefined, `${bench.name} has no step ${step}`);
    const found = play({ setting, part, signal: stopping.signal, ready: resolve }).then((figures) => figures ?? {});
    const stop = () => {
      stopping.abort();
      return found;
    };
    return { ready, figures: found, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
  };
}

for (const name of ["enqueue-256", "work-10", "memory-100b"]) {
  test(`${name} is played by each contender, and finds each of its figures`, async () => {
    const bench = benches.find((one) => one.name === name);
    assert.ok(bench !== undefined);
    for (const contender of bench.contenders) {
      await using server = await startRedis();
      const setting = { contender, redis: server.url, scale: 0.005 };
      const found = await bench.play(setting, here(bench, setting));
      for (const figure of bench.figures) {
        const value = found[figure.name];
        assert.ok(value !== undefined && Number.isFinite(value), `${figure.name} of ${contender}: ${value}`);
      }
      assert.ok((found[bench.figures[0]?.name ?? ""] ?? 0) > 0, `${contender} has found nothing`);
    }
  });
}

test("names of benches and of their figures are told apart", () => {
  assert.equal(new Set(benches.map(({ name }) => name)).size, benches.length);
  for (const { name, figures } of benches)
    assert.equal(new Set(figures.map((figure) => figure.name)).size, figures.length, name);
});
