import { stripVTControlCharacters } from "node:util";

// Data is not ours: what moves a cursor, rings a bell, or turns the writing direction round does not reach the terminal.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]+/g;
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text on one line, without anything that a terminal would act on. */
export function clean(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROL, " ").replace(DIRECTION, "");
}

/** The same, but the lines stay. */
export function cleanLines(text: string): string {
  return text.split(/\r?\n/).map(clean).join("\n");
}

const graphemes = new Intl.Segmenter();
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}])/u;

/** How many columns of a terminal a text takes. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += columnsOf(segment);
  return width;
}

function columnsOf(grapheme: string): number {
  if (/^\p{Mark}/u.test(grapheme)) return 0;
  return WIDE.test(grapheme) || grapheme.includes("\ufe0f") ? 2 : 1;
}

/** A text cut to so many columns, with an ellipsis for what is gone. */
export function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += columnsOf(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return columns > 0 ? `${kept}…` : "";
}

/** The same, cut at its start: for what is told apart by its end, as ids are. */
export function fitEnd(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  const kept: string[] = [];
  let width = 1;
  for (const { segment } of [...graphemes.segment(text)].reverse()) {
    width += columnsOf(segment);
    if (width > columns) break;
    kept.unshift(segment);
  }
  return columns > 0 ? `…${kept.join("")}` : "";
}

/** A text filled up with blanks to so many columns. */
export function pad(text: string, columns: number, align: "left" | "right" = "left"): string {
  const blanks = " ".repeat(Math.max(0, columns - widthOf(text)));
  return align === "left" ? text + blanks : blanks + text;
}
