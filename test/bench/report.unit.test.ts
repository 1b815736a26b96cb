import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { median } from "./measure.ts";
import { writePage } from "./page.ts";
import { type Report, toTable } from "./report.ts";

const quiet = { median: 1, most: 3 };
const rate = { name: "rate", unit: "runs/s", better: "higher" } as const;
const report: Report = {
  at: "2026-01-02T03:04:05.000Z",
  command: "npm run bench",
  machine: { cores: 2, processor: "a processor", platform: "linux x64", node: "v24.0.0", redis: "7.0.15" },
  rounds: 3,
  scale: 1,
  load: [0.1, 1.9],
  outcomes: [
    {
      bench: "work-1",
      what: "no-op runs",
      rounds: 3,
      load: [0, 1],
      othersBusy: quiet,
      figures: [{ ...rate, medians: { Tasktrail: 20_000, BullMQ: 2_000 }, against: "BullMQ", ratio: 10 }],
    },
    {
      bench: "features",
      what: "what they cost",
      rounds: 3,
      load: [1, 1],
      othersBusy: quiet,
      figures: [{ ...rate, medians: { everything: 1, nothing: 2 }, against: "nothing", ratio: 0.5 }],
    },
  ],
};

test("a report is a remark on the machine, a table of the queues, and one of each bench that compares other things", () => {
  assert.equal(
    toTable(report),
    [
      "2026-01-02, `npm run bench`: 3 rounds, scale 1. 2 cores (a processor), linux x64, Node 24.0.0, Redis 7.0.15. " +
        "Load average 0.1 before and 1.9 after; before each measurement others kept the machine 1% busy, 3% at most.",
      "",
      "| bench | figure | Tasktrail | BullMQ | raw commands | times BullMQ |",
      "| --- | --- | --: | --: | --: | --: |",
      "| work-1 | runs/s | 20,000 | 2,000 | – | 10 |",
      "",
      "What they cost (`features`):",
      "",
      "| bench | figure | everything | nothing | times nothing |",
      "| --- | --- | --: | --: | --: |",
      "| features | runs/s | 1 | 2 | 0.5 |",
    ].join("\n"),
  );
});

test("a machine that was not alone is told of", () => {
  const busy = report.outcomes.map((outcome) => ({ ...outcome, othersBusy: { median: 60, most: 100 } }));
  assert.match(toTable({ ...report, outcomes: busy }), /60% busy, 100% at most: it was not alone/);
});

test("the table goes between its markers, and nowhere else", () => {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  try {
    const page = join(folder, "page.md");
    writeFileSync(page, "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n");
    writePage(page, report);
    assert.equal(readFileSync(page, "utf8"), `before\n<!-- bench -->\n${toTable(report)}\n<!-- /bench -->\nafter\n`);
    writeFileSync(page, "no markers");
    assert.throws(() => writePage(page, report), /has no <!-- bench -->/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the median of an even number is the lower of the two in the middle", () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])], [2, 2, 7]);
});
