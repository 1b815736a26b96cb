import assert from "node:assert/strict";
import { test } from "node:test";
import { createPrettyLogger } from "../../../src/cli/pretty-logger.ts";
import { createTerminal, type Surroundings } from "../../../src/cli/terminal.ts";

/** A terminal that keeps what is written. */
function recorded(given: { env?: Record<string, string>; isTTY?: boolean; columns?: number } = {}) {
  const written: string[] = [];
  const stream = {
    isTTY: given.isTTY === true,
    columns: given.columns,
    write: (text: string) => written.push(text) > 0,
  };
  const stdout = stream as unknown as Surroundings["stdout"];
  return { terminal: createTerminal({ stdout, stderr: stdout, env: given.env ?? {}, cwd: "/" }), written };
}

test("colours are for terminals, unless NO_COLOR or FORCE_COLOR says otherwise", () => {
  const isColoured = (given: Parameters<typeof recorded>[0]) => recorded(given).terminal.style("red", "x") !== "x";
  assert.equal(isColoured({}), false);
  assert.equal(isColoured({ isTTY: true }), true);
  assert.equal(isColoured({ isTTY: true, env: { NO_COLOR: "1" } }), false);
  assert.equal(isColoured({ isTTY: true, env: { TERM: "dumb" } }), false);
  assert.equal(isColoured({ env: { FORCE_COLOR: "1" } }), true);
});

test("the width is the terminal's or COLUMNS, and a pipe has none", () => {
  const columns = (given: Parameters<typeof recorded>[0]) => recorded(given).terminal.columns;
  assert.equal(columns({}), undefined);
  assert.equal(columns({ isTTY: true, columns: 120 }), 120);
  assert.equal(columns({ isTTY: true, columns: 0 }), 80);
  assert.equal(columns({ env: { COLUMNS: "60" } }), 60);
});

test("a JSON document stays on one line, and no control character gets through", () => {
  const { terminal, written } = recorded();
  terminal.json({ text: "a\nb\u001b[2J\u009b2J" });
  assert.deepEqual(written, ['{"text":"a\\nb\\u001b[2J\\u009b2J"}\n']);
  assert.deepEqual(JSON.parse(written[0] as string), { text: "a\nb\u001b[2J\u009b2J" });
});

test("log lines for people have the message, the bindings of all children, and the stack", () => {
  const { terminal, written } = recorded();
  const logger = createPrettyLogger(terminal, "info").child({ run: "r1" }).child({ task: "send" });
  logger.info({ count: 3, nothing: undefined }, "sent\u0007");
  logger.debug({}, "not told");
  logger.error({ err: { type: "TypeError", message: "no", stack: "TypeError: no\n    at a" } }, "failed");
  const [first = "", second = "", third = ""] = written;
  assert.match(first, /^\d\d:\d\d:\d\d\.\d{3} {2}info {3}sent {3}run=r1 {2}task=send {2}count=3\n$/);
  assert.match(second, /error {2}failed {2}run=r1 {2}task=send\n$/);
  assert.equal(third, "    TypeError: no\n        at a\n");
  assert.equal(written.length, 3);
});

test("a logger also takes a message alone, and an error alone", () => {
  const { terminal, written } = recorded();
  const logger = createPrettyLogger(terminal, "info");
  logger.warn("careful" as never);
  logger.error(new RangeError("too far") as never);
  assert.match(written[0] as string, /warn {3}careful\n$/);
  assert.match(written[1] as string, /error {2}too far\n$/);
  assert.match(written[2] as string, /^ {4}RangeError: too far\n/);
});
