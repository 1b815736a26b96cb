import type { ReceivedSpan } from "./receiver.ts";

const WIDTH = 40;

/** Spans as a drawing: one line each, a child below its parent, a bar where it stands in time, and what it links to. */
export function waterfall(spans: readonly ReceivedSpan[]): string {
  const start = Math.min(...spans.map(({ startMs }) => startMs));
  const length = Math.max(...spans.map(({ endMs }) => endMs)) - start || 1;
  const names = new Map(spans.map((span) => [span.spanId, labelOf(span)]));
  const lines: [string, string, string][] = [];
  const draw = (span: ReceivedSpan, depth: number) => {
    const at = Math.min(WIDTH - 1, Math.floor(((span.startMs - start) / length) * WIDTH));
    const wide = Math.max(1, Math.round(((span.endMs - span.startMs) / length) * WIDTH));
    const bar = (" ".repeat(at) + "█".repeat(Math.min(wide, WIDTH - at))).padEnd(WIDTH);
    const links = span.links.map(({ spanId, relation }) => `  ↶ ${relation}: ${names.get(spanId) ?? spanId}`).join("");
    const tookMs = Math.max(0, span.endMs - span.startMs)
      .toFixed(1)
      .padStart(7);
    lines.push([`${"  ".repeat(depth)}${names.get(span.spanId)}`, bar, `${tookMs} ms${links}`]);
    for (const child of below(spans, span)) draw(child, depth + 1);
  };
  for (const root of below(spans, undefined)) draw(root, 0);
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, bar, rest]) => `${name.padEnd(width)} │${bar}│${rest}`.trimEnd()).join("\n");
}

function below(spans: readonly ReceivedSpan[], parent: ReceivedSpan | undefined): ReceivedSpan[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  return spans
    .filter(({ parentSpanId }) =>
      parent === undefined ? parentSpanId === undefined || !known.has(parentSpanId) : parentSpanId === parent.spanId,
    )
    .sort((a, b) => a.startMs - b.startMs);
}

function labelOf({ name, attributes, service, status }: ReceivedSpan): string {
  const { "tasktrail.task.name": task, "tasktrail.attempt": attempt } = attributes;
  const what = task === undefined ? "" : ` ${task}${attempt === undefined ? "" : ` #${attempt}`}`;
  return `${service} ${name}${what}${status === 2 ? " ✗" : ""}`;
}
