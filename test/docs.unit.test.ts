import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { COMMANDS } from "../src/cli/commands.ts";
import { LEGAL, type RunState } from "../streams/run.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...(existsSync(join(root, "docs"))
    ? readdirSync(join(root, "docs"))
        .filter((name) => name.endsWith(".md"))
        .map((name) => `docs/${name}`)
    : []),
];

/** The state machine as a Mermaid drawing: one arrow for each pair of states, with the events that lead along it. */
function drawStates(): string {
  const arrows = new Map<string, string[]>();
  const name = (state: RunState) => (state === "none" ? "[*]" : state);
  const draw = (from: RunState, to: RunState, event: string) => {
    const arrow = `${name(from)} --> ${name(to)}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), event.replace("run.", "")]);
  };
  draw("none", "scheduled", "enqueued");
  for (const [event, rule] of Object.entries(LEGAL)) for (const from of rule.from) draw(from, rule.to, event);
  const lines = [...arrows].map(([arrow, events]) => `    ${arrow}: ${events.join(", ")}`);
  const ends = ["succeeded", "died", "cancelled", "skipped", "lost"].map((state) => `    ${state} --> [*]`);
  return ["```mermaid", "stateDiagram-v2", ...lines, ...ends, "```"].join("\n");
}

test("the drawing of a run's life in ARCHITECTURE.md is that of streams/run.ts", () => {
  const drawn = /<!-- states -->\n([\s\S]*?)\n<!-- \/states -->/.exec(read("ARCHITECTURE.md"))?.[1];
  assert.equal(drawn, drawStates());
});

test("the table of commands in the README is the command line's own", () => {
  const table = /<!-- commands -->\n([\s\S]*?)\n<!-- \/commands -->/.exec(read("README.md"))?.[1];
  const rows = COMMANDS.map(({ name, summary }) => `| \`tasktrail ${name}\` | ${summary} |`);
  assert.equal(table, ["| command | what it does |", "|---|---|", ...rows].join("\n"));
});

test("every sample in the documents is a file of the repository, or a region of one, word for word", () => {
  const sample = /<!-- sample: (\S+)(?: #(\S+))? -->\n```\w*\n([\s\S]*?)\n```/g;
  let count = 0;
  for (const document of documents) {
    for (const [, path, region, text] of read(document).matchAll(sample)) {
      count += 1;
      assert.equal(
        text,
        sampleOf(path as string, region),
        `${document}: the sample of ${path} is not what the file says`,
      );
    }
  }
  assert.ok(count > 0, "no sample was found");
});

test("no code block of TypeScript stands in the documents without the file it comes from", () => {
  for (const document of documents) {
    const text = read(document);
    const blocks = text.match(/```(ts|typescript)\n/g)?.length ?? 0;
    const samples = text.match(/<!-- sample: \S+(?: #\S+)? -->\n```(ts|typescript)\n/g)?.length ?? 0;
    assert.equal(
      blocks,
      samples,
      `${document} has ${blocks} blocks of TypeScript, of which ${samples} name their file`,
    );
  }
});

test("what the documents link to is there", () => {
  for (const document of documents) {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      assert.ok(
        existsSync(join(root, document, "..", target as string)),
        `${document} links to ${target}, which is not there`,
      );
    }
  }
});

function sampleOf(path: string, region: string | undefined): string {
  const text = read(path);
  if (region === undefined) return text.trimEnd();
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.trim() === `// #region ${region}`);
  const length = lines.slice(start + 1).findIndex((line) => line.trim() === "// #endregion");
  assert.ok(start >= 0 && length >= 0, `${path} has no region ${region}`);
  return lines.slice(start + 1, start + 1 + length).join("\n");
}
