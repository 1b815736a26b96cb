import type { Report } from "./scenario.ts";

/** Reports as a table in Markdown, one line each. */
export function toTable(reports: readonly Report[]): string {
  const header = [
    "scenario",
    "size",
    "lost",
    "double endings",
    "zombie writes",
    "illegal",
    "rows differ",
    "duplicates",
    "left over",
    "died",
    "takeover p50",
    "p99",
    "took",
    "passed",
  ];
  const rows = reports.map((report) => {
    const { verdict } = report;
    const ms = (value: number) => (Number.isNaN(value) ? "–" : `${(value / 1_000).toFixed(1)} s`);
    return [
      report.scenario,
      report.size,
      verdict.lost,
      verdict.doubleEndings,
      verdict.zombieWrites,
      verdict.illegal,
      verdict.projectionDifference ?? "–",
      verdict.duplicates,
      verdict.leftOver,
      verdict.died,
      ms(report.takeoverP50),
      ms(report.takeoverP99),
      ms(report.tookMs),
      report.failures.length === 0 ? "yes" : "NO",
    ].map(String);
  });
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}
