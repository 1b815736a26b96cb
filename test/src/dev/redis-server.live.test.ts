import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findRedisServer } from "../../../src/dev/redis-server.ts";
import { scratchFolder } from "../../support/programs.ts";

const serverOfVersion = (folder: string, version: string) => {
  const path = join(folder, "redis-server");
  writeFileSync(path, `#!/bin/sh\necho "Redis server v=${version} sha=00000000:0 malloc=libc bits=64 build=0"\n`);
  chmodSync(path, 0o755);
  return path;
};

async function withEnvironment<T>(changes: Record<string, string>, work: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, changes);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(changes)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

test("a Redis on the PATH is used", async () => {
  const folder = scratchFolder();
  const path = serverOfVersion(folder, "7.2.4");
  const found = await withEnvironment({ PATH: `${folder}:${process.env.PATH}` }, () => findRedisServer(assert.fail));
  assert.deepEqual(found, { path, version: "7.2.4", env: {} });
});

test("a Redis that is too old is passed over, and said so", async () => {
  const folder = scratchFolder();
  const path = serverOfVersion(folder, "6.2.14");
  const reports: string[] = [];
  const found = await withEnvironment({ PATH: `${folder}:${process.env.PATH}` }, () =>
    findRedisServer((line) => reports.push(line)),
  );
  assert.notEqual(found.path, path);
  assert.match(reports.join("\n"), /passing over .* version 6\.2\.14, older than 7\.0/);
});

test("the Redis that TASKTRAIL_REDIS_SERVER names is used or refused, and no other taken instead", async () => {
  const folder = scratchFolder();
  const path = serverOfVersion(folder, "8.0.1");
  const found = await withEnvironment({ TASKTRAIL_REDIS_SERVER: path }, () => findRedisServer(assert.fail));
  assert.equal(found.path, path);
  await withEnvironment({ TASKTRAIL_REDIS_SERVER: join(folder, "nothing") }, () =>
    assert.rejects(findRedisServer(assert.fail), /TASKTRAIL_REDIS_SERVER names .*nothing, which does not exist/),
  );
});
