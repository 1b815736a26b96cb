import type { Report } from "./scenario.ts";

/** The columns of the table: what each is called, and what it says of a scenario. */
const COLUMNS: readonly (readonly [name: string, cell: (report: Report) => string | number])[] = [
  ["scenario", ({ scenario }) => scenario],
  ["size", ({ size }) => size],
  ["lost", ({ verdict }) => verdict.lost],
  ["double endings", ({ verdict }) => verdict.doubleEndings],
  ["zombie writes", ({ verdict }) => verdict.zombieWrites],
  ["illegal", ({ verdict }) => verdict.illegal],
  ["rows differ", ({ verdict }) => verdict.projectionDifference ?? "–"],
  ["duplicates (most)", ({ verdict, allowedDuplicates }) => `${verdict.duplicates} (${allowedDuplicates})`],
  ["refused", ({ verdict }) => verdict.refused],
  ["died", ({ verdict }) => verdict.died],
  ["pending", ({ verdict }) => verdict.leftOver],
  ["connections", ({ connectionsLeft }) => connectionsLeft],
  ["MB/min", ({ memorySlope }) => memorySlope?.toFixed(1) ?? "–"],
  ["unhandled", ({ unhandled }) => unhandled],
  ["log lines", ({ noise }) => noise],
  ["recovery p50", ({ verdict }) => seconds(verdict.recoveryP50)],
  ["p99", ({ verdict }) => seconds(verdict.recoveryP99)],
  ["took", ({ tookMs }) => seconds(tookMs)],
  ["passed", ({ failures }) => (failures.length === 0 ? "yes" : "NO")],
  ["remarks", ({ remarks }) => remarks.join("; ")],
];

/** Reports as a table in Markdown, one line each. */
export function toTable(reports: readonly Report[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  const rows = reports.map((report) => line(COLUMNS.map(([, cell]) => cell(report))));
  return [line(COLUMNS.map(([name]) => name)), line(COLUMNS.map(() => "---")), ...rows].join("\n");
}

/** What came of all of it, in one sentence. `tookMs` is less than what the scenarios took, for some are played side by side. */
export function toSummary(reports: readonly Report[], tookMs: number): string {
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
  const missed = reports.filter(({ failures }) => failures.length > 0).map(({ scenario }) => scenario);
  const zero = ["lost", "doubleEndings", "zombieWrites", "illegal"] as const;
  const broken = sum(({ verdict }) => zero.reduce((total, mark) => total + verdict[mark], 0));
  return [
    `${reports.length - missed.length} of ${reports.length} scenarios passed, with ${sum(({ verdict }) => verdict.told)} runs dispatched, in ${Math.round(tookMs / 1_000)} s.`,
    `Lost, ended twice, written by zombies or illegal: ${broken}. Rows that differ: ${sum(({ verdict }) => verdict.projectionDifference ?? 0)}.`,
    `Started again beside a first start: ${sum(({ verdict }) => verdict.duplicates)}.`,
    ...(missed.length === 0 ? [] : [`Missed: ${missed.join(", ")}.`]),
  ].join(" ");
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "–" : `${(ms / 1_000).toFixed(1)} s`;
}
