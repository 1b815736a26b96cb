import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { root } from "../support/modules.ts";

const program = `
import { registerHooks } from "node:module";
const loaded = new Set();
registerHooks({
  load(url, context, next) {
    for (const name of ["slonik", "pino", "ioredis", "redlock"]) if (url.includes("/node_modules/" + name + "/")) loaded.add(name);
    return next(url, context);
  },
});
const { createBroker } = await import("./src/broker.ts");
const { eventPublisher, ...deps } = await import("./src/deps.ts");
const broker = createBroker();
broker.task({ name: "task", deps: { ...deps, own: eventPublisher(deps.getDbSession) }, run() {} });
const before = [...loaded];
await import("ioredis");
console.log(JSON.stringify([Object.keys(deps).sort(), before, [...loaded]]));
`;

test("importing tasktrail/deps, and declaring tasks with it, loads neither slonik nor pino nor ioredis", () => {
  const printed = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
  });
  const [names, loaded, afterwards] = JSON.parse(printed);
  assert.deepEqual(names, ["getDbSession", "getEventPublisher", "getLogger", "getPool", "getRedis"]);
  assert.deepEqual(loaded, []);
  assert.deepEqual(afterwards, ["ioredis"], "the program would have noticed");
});
