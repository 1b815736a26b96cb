import { styleText } from "node:util";
import type { Redis } from "ioredis";
import type { LedgerEvent } from "../../../streams/events.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { decodeEntry, isLedgerEvent, waitForEntries } from "../../../streams/ledger.ts";

/** Tells what happens in a queue as it happens, one line an event, until the signal is aborted. */
export async function narrate(
  redis: Redis,
  {
    namespace,
    queue,
    from,
    print,
  }: {
    readonly namespace: string;
    readonly queue: string;
    readonly from: string;
    readonly print: (line: string) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const keys = laneKeys(namespace, queue);
  let after = from;
  while (!signal.aborted) {
    const entries = await waitForEntries(redis, keys, { id: after, count: 200, blockMs: 500 });
    for (const entry of entries) {
      for (const event of decodeEntry(entry, { queue, incarnation: "" })) {
        const line = isLedgerEvent(event) ? sentence(event) : undefined;
        if (line !== undefined) print(line);
      }
      after = entry.id;
    }
  }
}

/** An event in words; undefined for those that would only be noise here. */
export function sentence(event: LedgerEvent): string | undefined {
  const words = inWords(event);
  if (words === undefined) return undefined;
  const time = new Date(event.at).toISOString().slice(11, 23);
  const run = "run" in event && event.run !== undefined ? event.run.slice(-8) : "        ";
  const task = ("task" in event ? (event.task ?? "") : "").padEnd(20);
  return `${styleText("dim", time)}  ${styleText("dim", run)}  ${task}  ${words}`;
}

function inWords(event: LedgerEvent): string | undefined {
  switch (event.type) {
    case "run.enqueued":
      return event.dueAt === undefined
        ? "enqueued"
        : `scheduled for ${new Date(event.dueAt).toISOString().slice(11, 19)}`;
    case "run.due":
      return "due";
    case "run.started":
      return `started${event.attempt > 1 ? `, attempt ${event.attempt}` : ""}`;
    case "run.progressed":
      return `at ${event.done}${event.total === undefined ? "" : ` of ${event.total}`}${event.note === undefined ? "" : ` (${event.note})`}`;
    case "run.succeeded":
      return styleText("green", `succeeded in ${Math.round(event.durationMs)} ms`);
    case "run.failed":
      return styleText(
        "yellow",
        `failed: ${event.error.message}; tried again ${event.retryAt === undefined ? "" : `in ${Math.max(0, Math.round(event.retryAt - event.at))} ms`}`,
      );
    case "run.died":
      return styleText("red", `died (${event.reason})${event.error === undefined ? "" : `: ${event.error.message}`}`);
    case "run.skipped":
      return styleText(
        "yellow",
        `skipped: ${event.reason}${event.holder === undefined ? "" : `, held by ${event.holder.slice(-8)}`}`,
      );
    case "run.cancelled":
      return styleText("yellow", `cancelled${event.reason === undefined ? "" : `: ${event.reason}`}`);
    case "run.redelivered":
      return styleText("yellow", `taken over from ${event.from}`);
    case "slot.fired":
      return `slot ${new Date(event.slot).toISOString().slice(11, 19)} fired (${event.trigger})`;
    case "slot.missed":
      return styleText("yellow", `${event.missedCount} slot(s) missed: ${event.reason}`);
    default:
      return undefined;
  }
}
