import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { root } from "../../support/modules.ts";

const program = `
import { createBroker } from "./src/broker.ts";
import { engineOf } from "./src/engine.ts";
const { logger } = engineOf(createBroker({ namespace: "n" }));
logger.info({ n: 1 }, "not said");
logger.warn({ n: 2 }, "said");
logger.child({ run: "r" }).error({ err: new TypeError("no") }, "said last");
process.exit(3);
`;

test("without a logger, lines go to stderr as JSON at LOG_LEVEL, and the last one is not lost", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", program],
    { cwd: root, encoding: "utf8", env: { ...process.env, LOG_LEVEL: "warn" } },
  );
  const lines = stderr.trim().split("\n");
  assert.deepEqual([status, stdout, lines.length], [3, "", 2]);
  const [first, second] = lines.map((line) => JSON.parse(line));
  assert.deepEqual([first.level, first.n, first.msg], [40, 2, "said"]);
  assert.deepEqual([second.level, second.run, second.err.type, second.msg], [50, "r", "TypeError", "said last"]);
});
