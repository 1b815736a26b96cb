import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { LogLine } from "../../src/middleware.ts";
import { listener, overhear } from "../../src/overhear.ts";

function heard(level = "info") {
  const written: string[] = [];
  const lines: LogLine[] = [];
  const logger = overhear(
    pino({ level, base: null }, { write: (line: string) => written.push(line) }),
    { run: "r" },
    (line) => lines.push(line),
  );
  return { logger, written, lines };
}

test("what is logged is written and heard, however it is said", () => {
  const { logger, written, lines } = heard();
  const error = new TypeError("it broke");
  logger.info("alone");
  logger.warn({ a: 1 }, "with %d facts", 1);
  logger.error(error);
  logger.child({ attempt: 2 }).fatal({ err: error });
  assert.deepEqual(lines, [
    { level: "info", facts: { run: "r" }, message: "alone" },
    { level: "warn", facts: { run: "r", a: 1 }, message: "with 1 facts" },
    { level: "error", facts: { run: "r", err: error }, message: "it broke" },
    { level: "fatal", facts: { run: "r", attempt: 2, err: error }, message: "" },
  ]);
  assert.equal(written.length, 4);
});

test("what is below the logger's level is not heard, and the logger is otherwise what it was", () => {
  const { logger, written, lines } = heard("warn");
  logger.info("quiet");
  assert.deepEqual([lines, written, logger.level, logger.isLevelEnabled("warn")], [[], [], "warn", true]);
  logger.level = "debug";
  logger.debug("loud");
  assert.equal(lines.length, 1);
});

test("nobody listens until somebody does, and one that fails is passed over", () => {
  assert.equal(listener([{ name: "deaf" }]), undefined);
  const lines: string[] = [];
  const broken = () => {
    throw new Error("no");
  };
  const hear = listener([
    { name: "broken", log: broken },
    { name: "good", log: ({ message }) => lines.push(message) },
  ]);
  hear?.({ level: "info", facts: {}, message: "hello" });
  assert.deepEqual(lines, ["hello"]);
});
