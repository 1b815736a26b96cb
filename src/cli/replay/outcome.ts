import type { Replayed } from "../../../projections/catch-up.ts";
import type { Difference } from "../../../projections/explain.ts";
import type { Terminal } from "../terminal.ts";
import { clean } from "../text.ts";
import { localTime } from "../words.ts";

/** What came of a replay, in one sentence. Pure. */
export function outcomeWords({ rows, insert, update, delete: removed, carried }: Replayed, isApplied: boolean): string {
  const differing = insert + update + removed;
  const whole = Math.max(rows, differing).toLocaleString("en");
  const parts = [part(insert, "missing"), part(update, "changed"), part(removed, "of no event")].filter(
    (one) => one !== "",
  );
  const what = parts.length === 0 ? "" : `: ${parts.join(", ")}`;
  const older =
    carried === 0
      ? ""
      : ` ${carried.toLocaleString("en")} rows are older than the history that is kept, and stay as they are.`;
  const verb = isApplied ? "were mended" : "differ";
  return `${differing.toLocaleString("en")} of ${whole} rows ${verb}${what}.${older}`;
}

function part(count: number, word: string): string {
  return count === 0 ? "" : `${count.toLocaleString("en")} ${word}`;
}

/** Writes differences: the row, what the table has and what the ledger says, and the event that explains it. */
export function printDifferences(
  differences: readonly Difference[],
  { line, style }: Pick<Terminal, "line" | "style">,
): void {
  for (const { key, action, columns, event } of differences) {
    const cause =
      event === undefined
        ? "no event of the ledger makes this row"
        : `${event.type} at ${event.position}, ${localTime(event.at)}`;
    line(`${style("bold", clean(key))}  ${WORDS[action]}  ${style("dim", clean(cause))}`);
    if (action !== "update") continue;
    for (const [property, { table, ledger }] of Object.entries(columns))
      line(`  ${property}: ${style("red", shown(table))} is to be ${style("green", shown(ledger))}`);
  }
}

const WORDS = { insert: "missing in the table", update: "differs", delete: "is not in the ledger" } as const;

function shown(value: unknown): string {
  const text = clean(JSON.stringify(value) ?? "null");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
