import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { COMPILERS, compile, instantiationsIn, makeProject } from "../support/compilers.ts";
import { root } from "../support/modules.ts";
import { scratchFolder } from "../support/programs.ts";

const folder = scratchFolder("types");
const right = ["contracts", "tasks", "inference", "adapters", "recipes"].map((name) => `${name}.ts`);
const wrong = "mistakes.ts";

before(async () => {
  await makeProject(folder);
  cpSync(join(root, "test/types/user"), folder, { recursive: true });
});

/** The mistakes by their numbers: the lines that they stand on, and what TypeScript 7 says to them. */
function mistakes(): Map<string, { title: string; from: number; until: number; said: string[] }> {
  const found = new Map<string, { title: string; from: number; until: number; said: string[] }>();
  let current: { title: string; from: number; until: number; said: string[] } | undefined;
  for (const [index, line] of readFileSync(join(folder, wrong), "utf8").split("\n").entries()) {
    const [, number, title] = /^\/\/ \[(\d\d)\] (.+)$/.exec(line) ?? [];
    if (number !== undefined && title !== undefined) {
      current = { title, from: index + 1, until: index + 1, said: [] };
      found.set(number, current);
    }
    if (current === undefined) continue;
    current.until = index + 1;
    const said = /^\/\/ {2,}(.+)$/.exec(line)?.[1];
    if (said !== undefined) current.said.push(said);
  }
  return found;
}

for (const [name, compiler] of Object.entries(COMPILERS)) {
  test(`${name} takes what users write, and infers all of it`, async () => {
    const { output } = await compile(compiler, folder, { files: right });
    assert.equal(output, "");
  });

  test(`${name} refuses each mistake, and nothing beside it`, async () => {
    const { findings } = await compile(compiler, folder, { files: [wrong] });
    const all = mistakes();
    assert.ok(all.size >= 50);
    for (const [number, { title, from, until, said }] of all) {
      const here = findings.filter(({ file, line }) => file.endsWith(wrong) && line >= from && line <= until);
      assert.ok(here.length > 0, `[${number}] ${title} compiles`);
      if (compiler !== "typescript") continue;
      const messages = here.map(({ message }) => message).join("\n");
      assert.ok(said.length > 0, `[${number}] ${title} does not say what is expected; it is:\n${messages}`);
      for (const words of said)
        assert.ok(messages.includes(words), `[${number}] ${title} should say\n  ${words}\nand says\n${messages}`);
    }
    const first = Math.min(...Array.from(all.values(), ({ from }) => from));
    assert.deepEqual(
      findings.filter(({ file, line }) => !file.endsWith(wrong) || line < first),
      [],
    );
  });

  test(`${name} writes declarations of users' tasks that name nothing but tasktrail and what the user named`, async () => {
    const outDir = join(folder, `emitted-${compiler}`);
    const options = {
      composite: true,
      noEmit: false,
      emitDeclarationOnly: true,
      allowImportingTsExtensions: true,
      outDir,
      rootDir: folder,
    };
    const { output } = await compile(compiler, folder, { files: right, options });
    assert.equal(output, "");
    const named = new Set<string>();
    for (const file of readdirSync(outDir).filter((one) => one.endsWith(".d.ts"))) {
      const text = readFileSync(join(outDir, file), "utf8");
      for (const [, module = ""] of text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)) named.add(module);
    }
    const users = /^(zod|valibot|arktype|pg|drizzle-orm|kysely|pino)(\/|$)/;
    const ours = [...named].filter((module) => !users.test(module) && !module.startsWith("./")).sort();
    assert.deepEqual(ours, ["tasktrail", "tasktrail/contract", "tasktrail/deps"]);
  });

  test(`${name} works out each of hundreds of tasks within a budget`, async () => {
    const count = 300;
    writeFileSync(
      join(folder, "schemas.ts"),
      generated(count, (schema) => schema),
    );
    writeFileSync(join(folder, "many.ts"), generated(count, withTask));
    const flags = ["--extendedDiagnostics"];
    const [schemas, tasks] = await Promise.all(
      ["schemas.ts", "many.ts"].map((file) => compile(compiler, folder, { files: [file], flags })),
    );
    assert.ok(schemas !== undefined && tasks !== undefined);
    assert.deepEqual([...schemas.findings, ...tasks.findings], []);
    const perTask = (instantiationsIn(tasks) - instantiationsIn(schemas)) / count;
    // Measured 1,210, the same for more tasks. Time is not asked for: it depends on the machine.
    assert.ok(perTask > 0 && perTask < 1_500, `${perTask} instantiations a task`);
  });

  test(`${name} does not lose itself in types that refer to each other`, async () => {
    writeFileSync(join(folder, "deep.ts"), deep);
    writeFileSync(join(folder, "shallow.ts"), deep.replace(/^export const walk.*$/m, ""));
    const flags = ["--extendedDiagnostics"];
    const [shallow, deeper] = await Promise.all(
      ["shallow.ts", "deep.ts"].map((file) => compile(compiler, folder, { files: [file], flags })),
    );
    assert.ok(shallow !== undefined && deeper !== undefined);
    assert.deepEqual([...shallow.findings, ...deeper.findings], []);
    const spent = instantiationsIn(deeper) - instantiationsIn(shallow);
    // With the check for JSON in one step, this one task took 2.2 million.
    assert.ok(spent > 0 && spent < 20_000, `${spent} instantiations`);
  });
}

/** A module with many schemas, and what is made of each. */
function generated(count: number, each: (schema: string, index: number) => string): string {
  const schema = (index: number) =>
    `z.object({ id${index}: z.string(), lines: z.array(z.object({ sku: z.string(), n${index}: z.int(), tags: z.array(z.string()).optional() })), at: z.iso.datetime().default("x"), meta: z.record(z.string(), z.string()) })`;
  const heads = [
    'import { createBroker } from "tasktrail";',
    'import { getDbSession, getEventPublisher, getLogger, getRedis } from "tasktrail/deps";',
    'import { z } from "zod";',
    "export const broker = createBroker();",
    "export const used = [getDbSession, getEventPublisher, getLogger, getRedis];",
  ];
  const bodies = Array.from(
    { length: count },
    (_, index) => `export const one${index} = ${each(schema(index), index)};`,
  );
  return [...heads, ...bodies].join("\n");
}

function withTask(schema: string, index: number): string {
  return `broker.task({ name: "t${index}", input: ${schema}, deps: { db: getDbSession, logger: getLogger, redis: getRedis, events: getEventPublisher }, async run({ id${index}, lines }, { logger }) { logger.info({ n: lines.length }, id${index}); return { id: id${index}, count: lines.length }; } })`;
}

const deep = `
import { createBroker, unchecked } from "tasktrail";
interface User { id: string; posts: Post[]; teams: Team[]; boss: User | null; profile: { owner: User; tags: Tag[] } }
interface Post { id: string; author: User; comments: Comment[]; tags: Tag[]; team: Team }
interface Comment { id: string; post: Post; author: User; replies: Comment[]; tags: Tag[] }
interface Team { id: string; members: User[]; posts: Post[]; parent: Team | null; tags: Tag[] }
interface Tag { id: string; posts: Post[]; users: User[]; teams: Team[]; comments: Comment[] }
export const broker = createBroker();
export const schema = unchecked<{ user: User; post: Post }>();
export const walk = broker.task({ name: "walk", input: schema, run({ user }) { return { id: user.id }; } });
`;
