import { withCeiling } from "./contenders/all.ts";
import type { Machine } from "./machine.ts";
import type { FigureOutcome, Outcome } from "./measure.ts";

/** What a run of the benchmark has found. */
export interface Report {
  readonly at: string;
  readonly command: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly scale: number;
  /** The load average before and after. */
  readonly load: readonly [before: number, after: number];
  readonly outcomes: readonly Outcome[];
}

/** A report in Markdown: the machine, then a table of the benches that compare queues, then one for each of the others. */
export function toTable(report: Report): string {
  const isCompared = ({ figures }: Outcome) =>
    Object.keys(figures[0]?.medians ?? {}).every((name) => withCeiling.includes(name));
  const compared = report.outcomes.filter(isCompared);
  const others = report.outcomes.filter((outcome) => !isCompared(outcome));
  const tables = [
    ...(compared.length === 0 ? [] : [comparison(compared)]),
    ...others.map(
      (outcome) => `${capital(outcome.what)} (\`${outcome.bench}\`):\n\n${table([outcome], contendersOf(outcome))}`,
    ),
  ];
  return [remark(report), ...tables].join("\n\n");
}

/** When, where, and how quiet it was. */
function remark({ at, command, machine, rounds, scale, load, outcomes }: Report): string {
  const busy = outcomes.map(({ othersBusy }) => othersBusy);
  const typical = busy.map(({ median }) => median).toSorted((a, b) => a - b)[busy.length >> 1] ?? 0;
  const most = Math.max(0, ...busy.map((one) => one.most));
  return (
    `${at.slice(0, 10)}, \`${command}\`: ${rounds} round${rounds === 1 ? "" : "s"}, scale ${scale}. ` +
    `${machine.cores} cores (${machine.processor}), ${machine.platform}, Node ${machine.node.slice(1)}, Redis ${machine.redis}. ` +
    `Load average ${load[0]} before and ${load[1]} after; before each measurement others kept the machine ${typical}% busy, ${most}% at most${typical > 10 ? ": it was not alone, so compare ratios and not rates" : ""}.`
  );
}

function comparison(outcomes: readonly Outcome[]): string {
  return table(outcomes, withCeiling);
}

function table(outcomes: readonly Outcome[], contenders: readonly string[]): string {
  const hasRatio = outcomes.some(({ figures }) => figures.some(({ ratio }) => ratio !== undefined));
  const against = [...new Set(outcomes.flatMap(({ figures }) => figures.map((figure) => figure.against ?? [])).flat())];
  const header = ["bench", "figure", ...contenders, ...(hasRatio ? [`times ${against.join(", ")}`] : [])];
  const rows = outcomes.flatMap((outcome) =>
    outcome.figures.map((figure, index) => [
      index === 0 ? outcome.bench : "",
      label(figure),
      ...contenders.map((name) => shown(figure.medians[name])),
      ...(hasRatio ? [figure.ratio === undefined ? "–" : String(figure.ratio)] : []),
    ]),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, at) => (at < 2 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

function label({ name, unit }: FigureOutcome): string {
  return /^(rate|node|redis|commands)$/.test(name) ? unit : `${name}, ${unit}`;
}

function contendersOf({ figures }: Outcome): readonly string[] {
  return [...new Set(figures.flatMap(({ medians }) => Object.keys(medians)))];
}

function shown(value: number | undefined): string {
  return value === undefined ? "–" : value.toLocaleString("en");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
