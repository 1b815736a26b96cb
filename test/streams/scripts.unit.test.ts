import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { lintScript } from "../support/lua.ts";
import { root } from "../support/modules.ts";

for (const path of globSync("streams/scripts/*.lua", { cwd: root }).sort()) {
  test(`${path} is one documented transition that keeps to itself`, () => {
    assert.deepEqual(lintScript(withParts(readFileSync(join(root, path), "utf8"))), []);
  });
}

/** A script with the parts it shares with others; a whole script that it begins with is looked at by itself. */
function withParts(text: string): string {
  return text.replace(/^--@include (parts\/\w+)$/m, (_, name: string) =>
    readFileSync(join(root, `streams/scripts/${name}.lua`), "utf8"),
  );
}

const header = "-- Moves an entry from one place to another.\n--\n-- KEYS: 1 tasks\n-- ARGV: 1 run\n";
const breaches: [string, RegExp][] = [
  ["-- KEYS: 1 tasks\n-- ARGV: 1 run\nreturn 1", /does not begin with a comment/],
  ["-- Moves an entry from one place to another.\nreturn 1", /no "-- KEYS:" line[\s\S]*no "-- ARGV:" line/],
  [`${header}return 1 1`, /not Lua 5.1/],
  [`${header}return 1 & 2`, /not Lua 5.1/],
  [`${header}found = 1`, /assigns the global found/],
  [`${header}function move() end`, /assigns the global move/],
  [`${header}return os.time()`, /uses the global os/],
  [`${header}return redis.error_reply('ERR ' .. ARGV[1])`, /error_reply a text that is not constant/],
  [`${header}return redis.error_reply(ARGV[1])`, /error_reply a text that is not constant/],
  [`${header}return redis.call('GET', KEYS[1] .. ':key')`, /builds the key of GET/],
  [
    `${header}local name = '{' .. ARGV[1] .. '}'\nreturn redis.pcall('xadd', name, '*', 'a', 1)`,
    /builds the key of XADD/,
  ],
  [`${header}${"redis.call('PING')\n".repeat(81)}`, /81 lines of code/],
];

for (const [script, expected] of breaches) {
  test(`the lint notices: ${script.replace(header, "").slice(0, 60).replaceAll("\n", " ")}`, () => {
    assert.match(lintScript(script).join("\n"), expected);
  });
}

test("the lint lets a sound script pass", () => {
  const script = `${header}
local now = redis.call('TIME')
local field = 'last:' .. ARGV[1]
if not redis.call('HGET', KEYS[1], field) then return redis.error_reply('GONE no such schedule') end
return { now[1], string.format('%d', #ARGV) }
`;
  assert.deepEqual(lintScript(script), []);
});
