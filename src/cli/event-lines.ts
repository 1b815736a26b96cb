import type { AnyEvent } from "../../projections/read-lane.ts";
import { eventStyle, eventWords, type ToldEvent, told } from "./event-words.ts";
import type { Style, Terminal } from "./terminal.ts";
import { clean, fit, pad, widthOf } from "./text.ts";
import { clockTime, relativeWords } from "./words.ts";

/** From this width on a whole run id fits beside what is said of the event; below the other one, no more than the time. */
const WIDE = 140;
const NARROW = 110;
const TYPE_COLUMNS = 17;
const TASK_COLUMNS = 24;
const NARROW_TASK_COLUMNS = 18;

/** How events are to be written. */
export interface EventLook {
  readonly isJson?: boolean | undefined;
  /** True while events are followed: then how long ago it was is always "now". */
  readonly isLive: boolean;
  /** True when all are of one run, so that its id need not stand on every line. */
  readonly isOneRun?: boolean | undefined;
}

/** Writes events, one a line: when, what, of which task and run, and the facts. */
export function printEvents(events: readonly AnyEvent[], terminal: Terminal, look: EventLook): void {
  for (const event of events) {
    if (look.isJson === true) terminal.json(event);
    else terminal.line(eventLine(told(event), terminal, look));
  }
}

/** An event on one line, that fits. */
export function eventLine(
  event: ToldEvent,
  { columns, style }: Pick<Terminal, "columns" | "style">,
  look: EventLook,
): string {
  const isNarrow = columns !== undefined && columns < NARROW;
  const taskColumns = isNarrow ? NARROW_TASK_COLUMNS : TASK_COLUMNS;
  const subject = clean(String(event.task ?? event.schedule ?? event.queue ?? ""));
  const head: readonly (readonly [Style | undefined, string])[] = [
    ["dim", whenPart(Number(event.at), look, isNarrow)],
    [eventStyle(event.type), pad(clean(event.type), TYPE_COLUMNS)],
    ...(look.isOneRun === true
      ? []
      : [
          [undefined, pad(columns === undefined ? subject : fit(subject, taskColumns), taskColumns)] as const,
          ["dim", runPart(event, columns)] as const,
        ]),
  ];
  const used = head.reduce((sum, [, text]) => sum + widthOf(text) + 2, 0);
  const facts = columns === undefined ? eventWords(event) : fit(eventWords(event), columns - used);
  return [...head.map(([look, text]) => (look === undefined ? text : style(look, text))), facts].join("  ").trimEnd();
}

function whenPart(at: number, look: EventLook, isNarrow: boolean): string {
  if (look.isLive) return clockTime(at);
  const ago = pad(relativeWords(at, Date.now()), 8);
  return isNarrow ? ago : `${clockTime(at).slice(0, 8)}  ${ago}`;
}

function runPart(event: ToldEvent, columns: number | undefined): string {
  const run = typeof event.run === "string" ? clean(event.run) : "";
  if (columns === undefined || columns >= WIDE) return pad(run, 36);
  return pad(run === "" ? "" : `…${run.slice(-8)}`, 9);
}
