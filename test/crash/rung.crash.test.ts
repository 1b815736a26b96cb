import assert from "node:assert/strict";
import { test } from "node:test";
import { scenarios } from "./all.ts";
import { perform } from "./perform.ts";

// The lowest rung of the ladder: one fault of each kind, at a size that suits every run of the suite. `npm run test:crash` climbs the rest.
const RUNG = [
  "worker-kill",
  "sigterm-past-grace",
  "links-cut",
  "redis-stalled",
  "projector-kill",
  "reads-lost",
  "foreign-entries",
];

for (const scenario of scenarios.filter(({ name }) => RUNG.includes(name))) {
  test(`${scenario.name}: ${scenario.what}`, { timeout: 180_000 }, async (t) => {
    const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const report = await perform(scenario, { seed, size: scenario.sizes.small });
    assert.deepEqual(report.failures, [], `seed ${seed}: ${JSON.stringify(report.verdict)}`);
  });
}
