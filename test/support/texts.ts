import fc from "fast-check";

const SURROGATES = { from: 0xd800, count: 0x800 };

/** Any character of Unicode. */
const anyCharacter = fc.integer({ min: 0, max: 0x10ffff - SURROGATES.count }).map(
  (place) => String.fromCodePoint(place < SURROGATES.from ? place : place + SURROGATES.count),
  (character) => {
    const point = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (point === undefined || String.fromCodePoint(point) !== character) throw new Error("not one character");
    return point < SURROGATES.from ? point : point - SURROGATES.count;
  },
);

/**
 * Any text of whole characters, control characters and unassigned ones too; of up to ten characters, unless told otherwise.
 * The same as fast-check's own unit `binary`, which looks up characters in a table of all of them: a second and 100 MB for each process.
 */
export function anyText(constraints: Omit<fc.StringConstraints, "unit"> = {}): fc.Arbitrary<string> {
  return fc.string({ ...constraints, unit: anyCharacter });
}
