import assert from "node:assert/strict";
import { test } from "node:test";
import { RELAY_DEFAULTS, relayBackoffMs } from "../../../src/relay/settings.ts";

test("however long a server was away, a relay looks again within five seconds, and never hurries", () => {
  for (const random of [() => 0, () => 0.999]) {
    const hour = 3_600_000;
    let elapsed = 0;
    let failures = 0;
    while (elapsed < hour) {
      failures += 1;
      const wait = relayBackoffMs(failures, RELAY_DEFAULTS, random);
      assert.ok(
        wait >= RELAY_DEFAULTS.backoffMs / 2 && wait <= RELAY_DEFAULTS.mostBackoffMs,
        `${failures}: ${wait} ms`,
      );
      elapsed += wait;
    }
    assert.ok(failures > 700 && failures < 1_500, `${failures} looks in an hour`);
    assert.ok(relayBackoffMs(1e9, RELAY_DEFAULTS, random) >= RELAY_DEFAULTS.mostBackoffMs / 2);
  }
});
