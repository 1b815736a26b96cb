import { clean, fit, fitEnd, pad, widthOf } from "./text.ts";

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  value(row: Row): string | number | undefined;
  readonly align?: "left" | "right";
  /** How narrow it may become when the terminal is. Default: it is never cut. */
  readonly least?: number;
  /** Where it is cut then. Ids are told apart by their ends, so they are cut at the start. Default "end". */
  readonly cut?: "start" | "end";
  /** Colours a cell once it has its width. */
  style?(cell: string, row: Row): string;
}

const GAP = 2;

/**
 * A table as lines. With `columns` it fits: the widest cells of those that may shrink are cut first, and a line that is still
 * too long is cut at its end. Without, nothing is cut: it goes to a file or to another program. What is in the cells is cleaned.
 */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  look: { readonly columns?: number | undefined; title?(text: string): string } = {},
): string[] {
  const cells = rows.map((row) => columns.map((column) => cellOf(column.value(row))));
  const natural = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...cells.map((line) => widthOf(line[index] as string))),
  );
  const widths = look.columns === undefined ? natural : shrink(natural, columns, look.columns);
  const line = (texts: readonly string[], finish: (cell: string, index: number) => string) =>
    layOut(texts, { columns, widths, limit: look.columns, finish });
  const titles = columns.map(({ title }) => title.toUpperCase());
  return [
    line(titles, (cell) => look.title?.(cell) ?? cell),
    ...rows.map((row, number) =>
      line(cells[number] as string[], (cell, index) => columns[index]?.style?.(cell, row) ?? cell),
    ),
  ];
}

function cellOf(value: string | number | undefined): string {
  return value === undefined || value === "" ? "–" : clean(String(value));
}

function shrink(natural: readonly number[], columns: readonly Column<never>[], limit: number): number[] {
  const widths = [...natural];
  const least = columns.map((column, index) =>
    Math.min(column.least ?? Number.POSITIVE_INFINITY, widths[index] as number),
  );
  const total = () => widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1));
  while (total() > limit) {
    let widest = -1;
    for (const [index, width] of widths.entries()) {
      if (width > (least[index] as number) && width > (widths[widest] ?? 0)) widest = index;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] as number) - 1;
  }
  return widths;
}

interface Layout {
  readonly columns: readonly Column<never>[];
  readonly widths: readonly number[];
  readonly limit: number | undefined;
  finish(cell: string, index: number): string;
}

function layOut(texts: readonly string[], { columns, widths, limit, finish }: Layout): string {
  const parts: string[] = [];
  let used = 0;
  for (const [index, text] of texts.entries()) {
    const room = limit === undefined ? Number.POSITIVE_INFINITY : limit - used;
    if (room <= 0) break;
    const isLast = index === texts.length - 1;
    const width = Math.min(widths[index] as number, room);
    const cut = columns[index]?.cut === "start" ? fitEnd(text, width) : fit(text, width);
    parts.push(
      finish(isLast && columns[index]?.align !== "right" ? cut : pad(cut, width, columns[index]?.align), index),
    );
    used += width + GAP;
  }
  return parts.join(" ".repeat(GAP)).trimEnd();
}
