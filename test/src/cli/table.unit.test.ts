import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Column, renderTable } from "../../../src/cli/table.ts";
import { widthOf } from "../../../src/cli/text.ts";
import { anyText } from "../../support/texts.ts";

interface Row {
  readonly name: string;
  readonly count: number;
  readonly why?: string;
}

const columns: Column<Row>[] = [
  { title: "name", value: (row) => row.name, least: 6 },
  { title: "count", value: (row) => row.count, align: "right" },
  { title: "why", value: (row) => row.why, least: 4 },
];

test("a table has a title line, columns in line, and a dash for what is not there", () => {
  assert.deepEqual(
    renderTable(
      [
        { name: "a", count: 5 },
        { name: "longer", count: 12, why: "x" },
      ],
      columns,
    ),
    ["NAME    COUNT  WHY", "a           5  –", "longer     12  x"],
  );
});

test("the widest cells are cut first when the terminal is narrow", () => {
  const [, line] = renderTable([{ name: "abcdefgh", count: 1, why: "a very long reason indeed" }], columns, {
    columns: 30,
  });
  assert.equal(line, "abcdefgh      1  a very long …");
});

test("a column that may not shrink is whole while there is any room", () => {
  const [, line] = renderTable([{ name: "abcdefgh", count: 123_456, why: "long long long" }], columns, { columns: 20 });
  assert.equal(line, "abcde…  123456  lon…");
});

test("no line is wider than the terminal, whatever is in the cells", () => {
  const row = fc.record({ name: fc.string({ unit: "grapheme" }), count: fc.nat(), why: anyText() });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 1, max: 120 }), (rows, width) => {
      for (const line of renderTable(rows, columns, { columns: width })) {
        assert.ok(widthOf(line) <= width, `"${line}" takes ${widthOf(line)} of ${width}`);
      }
    }),
  );
});

test("without a terminal nothing is cut", () => {
  const why = "x".repeat(500);
  assert.ok(renderTable([{ name: "a", count: 1, why }], columns)[1]?.includes(why));
});

test("cells are cleaned of what a terminal acts on", () => {
  assert.equal(renderTable([{ name: "a\u001b[2J\nb", count: 1 }], columns)[1], "a b       1  –");
});
