import type { Command } from "commander";
import { readRun } from "../../../projections/history.ts";
import type { AnyEvent } from "../../../projections/read-lane.ts";
import { listQueues } from "../../../streams/lane.ts";
import { stateAfter } from "../../../streams/run.ts";
import { type Cli, example } from "../command.ts";
import { eventStyle, eventWords, told } from "../event-words.ts";
import { findRunId, unknownRun } from "../find-run.ts";
import { type CliLedger, withLedger } from "../ledger.ts";
import { jsonOption } from "../options.ts";
import type { Terminal } from "../terminal.ts";
import { clean, fit, pad } from "../text.ts";
import { clockTime, counted, lengthWords, localTime } from "../words.ts";

/** `tasktrail history RUN`: the life of one run, with the gaps between its events. */
export function history(command: Command, { terminal }: Cli): void {
  command
    .argument("<run>", "the run's id, or its end")
    .action((run: string, { json }: { readonly json?: boolean }) => show(run, json === true, terminal));
  jsonOption(command);
  example(command, "history 01a20722-a4d2-7505-aeb9-c2a4f8bd9076", "history c2a4f8bd9076 --json");
}

async function show(text: string, isJson: boolean, terminal: Terminal): Promise<void> {
  const { id, events } = await withLedger(terminal, (ledger) => read(text, ledger));
  const steps = withGaps(events);
  if (isJson) {
    for (const { event, gapMs } of steps) terminal.json({ gapMs, ...event });
    return;
  }
  const [first] = events as readonly Readonly<Record<string, unknown>>[];
  terminal.line(
    `${terminal.style("bold", id)}  ${clean(String(first?.task ?? ""))}  in ${clean(String(first?.queue ?? ""))}`,
  );
  terminal.line(terminal.style("dim", localTime(Number(first?.at ?? 0))));
  for (const step of steps) terminal.line(lineOf(step, terminal));
  const lengthMs = (events.at(-1)?.at ?? 0) - (events[0]?.at ?? 0);
  terminal.line(`${counted(events.length, "event")}, ${lengthWords(lengthMs)} in all, ${stateAfter(events)}`);
}

async function read(text: string, { server, pool, source }: CliLedger) {
  const id = await findRunId(text, { server, pool });
  const events = await readRun(source, id, await listQueues(source.redis, source.namespace));
  if (events.length === 0) throw unknownRun(id, { server, pool });
  return { id, events };
}

/** An event, and how long after the one before it came. The clocks of two workers may be a little apart: never less than nothing. */
interface Step {
  readonly event: AnyEvent;
  readonly gapMs: number;
  /** True where the lane had lost its history, and began another life. */
  readonly isNewLife: boolean;
}

/** Puts the gaps between events. Pure. */
export function withGaps(events: readonly AnyEvent[]): Step[] {
  return events.map((event, index) => {
    const before = events[index - 1];
    const isNewLife = before !== undefined && lifeOf(before) !== lifeOf(event);
    return { event, gapMs: before === undefined ? 0 : Math.max(0, event.at - before.at), isNewLife };
  });
}

function lifeOf({ position = "" }: AnyEvent): string {
  return position.split("/").at(-3) ?? "";
}

const GAP_COLUMNS = 8;
const TYPE_COLUMNS = 18;

function lineOf({ event, gapMs, isNewLife }: Step, { columns, style }: Terminal): string {
  const gap = `+${lengthWords(gapMs)}`.padStart(GAP_COLUMNS);
  const head = `${clockTime(event.at)}  ${gap}  ${pad(clean(event.type), TYPE_COLUMNS)}`;
  const facts = `${isNewLife ? "in a new life of its queue; " : ""}${eventWords(told(event))}`;
  const shown = columns === undefined ? facts : fit(facts, Math.max(10, columns - head.length - 2));
  return `${style("dim", clockTime(event.at))}  ${style(gapMs >= 1_000 ? "yellow" : "dim", gap)}  ${style(eventStyle(event.type), pad(clean(event.type), TYPE_COLUMNS))}  ${shown}`.trimEnd();
}
