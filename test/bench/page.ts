import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../src/dev/run.ts";
import { type Report, toTable } from "./report.ts";

const MARKERS = /(<!-- bench -->\n)[\s\S]*?(<!-- \/bench -->)/;
const HISTORY = join(root, "test/bench/history.jsonl");

/** Puts a report's table between `<!-- bench -->` and `<!-- /bench -->` of a document. Throws when they are not there. */
export function writePage(path: string, report: Report): void {
  const text = readFileSync(path, "utf8");
  if (!MARKERS.test(text)) throw new Error(`${path} has no <!-- bench --> and <!-- /bench -->`);
  writeFileSync(
    path,
    text.replace(MARKERS, (_all, begin, end) => `${begin}${toTable(report)}\n${end}`),
  );
}

/** Appends a report to the history, a line of JSON: what a release is compared with. */
export function appendHistory(report: Report): void {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const figures = report.outcomes.flatMap(({ bench, figures: all, othersBusy }) =>
    all.map(({ name, unit, medians, ratio }) => ({ bench, name, unit, medians, ratio, othersBusy: othersBusy.median })),
  );
  const { at, command, machine, rounds, scale, load } = report;
  appendFileSync(HISTORY, `${JSON.stringify({ version, at, command, machine, rounds, scale, load, figures })}\n`);
}
