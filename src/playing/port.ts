// biome-ignore-all lint/suspicious/noExplicitAny: a test broker holds tasks of any input and result
import { isWanted } from "../../streams/event-filter.ts";
import type { LedgerEvent } from "../../streams/events.ts";
import { createRunIds, cronRunId } from "../../streams/ids.ts";
import type { DispatchOptions } from "../define/dispatch.ts";
import { durationMs } from "../define/duration.ts";
import { decodeResult, encodeInput } from "../define/payload.ts";
import { checkedKey, resolveDispatch } from "../define/resolve-dispatch.ts";
import type { DispatchPort, TaskRecord } from "../define/task.ts";
import { invalidOption, resultTimeout, runCancelled, runFailed, runUnknown } from "../errors.ts";
import { callInline } from "../execute/call.ts";
import type { RunHandle, Slot } from "../run.ts";
import { isOver, type PlayedRun, type PlayedSchedule, record } from "./book.ts";
import { enter, hasLapsed } from "./enter.ts";
import { type Player, playDue } from "./play.ts";

/** A port that keeps dispatches in the book, where the real one sends them to Redis. */
export function playingPort(player: Player): DispatchPort {
  return {
    sendOne: (task, input, options) => dispatch(player, { task, input, options }),
    async send(task, inputs, options, keyOf) {
      const handles: RunHandle<any>[] = [];
      for (const input of inputs) {
        const key = keyOf === undefined ? options.key : checkedKey(keyOf(input));
        handles.push(
          await dispatch(player, { task, input, options: key === undefined ? options : { ...options, key } }),
        );
      }
      return handles;
    },
    handle: (_task, id) =>
      handleOf(
        player,
        player.book.runs.find((run) => run.id === id),
        { id, isNew: false },
      ),
    async *events({ from = 0, until = Number.POSITIVE_INFINITY, signal, ...wanted }) {
      // What is followed ends here too: nothing is recorded by itself.
      for (const event of player.book.events) {
        if (signal?.aborted === true) return;
        if (event.at >= from && event.at <= until && isWanted(event, wanted)) yield event;
      }
    },
    async trigger(task) {
      if (task.cron === undefined) throw invalidOption("trigger", `task "${task.name}" is on no schedule`);
      const schedule = { id: task.name, task, cron: task.cron, body: "" };
      const run = fireSlot(player, schedule, { at: player.book.now, trigger: "manual" });
      return handleOf(player, run, { id: run.id, isNew: true });
    },
    call: (task, input, slot, overrides) =>
      callInline(player.engine, { record: task, input, slot, overrides: overrides ?? player.overrides }),
  };
}

interface Dispatch {
  readonly task: TaskRecord;
  readonly input: unknown;
  readonly options: DispatchOptions;
}

async function dispatch(player: Player, { task, input, options }: Dispatch): Promise<RunHandle<any>> {
  const { book, engine } = player;
  const said = resolveDispatch(options);
  const { json } = await encodeInput(task, input, engine.maxPayloadBytes);
  const key = said.key === undefined ? undefined : `${task.name}\n${said.key}`;
  const known = key === undefined ? undefined : book.keys.get(key);
  if (known !== undefined && !hasLapsed(known, said.keyTtl, book.now))
    return handleOf(player, known, { id: known.id, isNew: false });
  const dueAt = said.atMs ?? book.now + (said.delayMs ?? 0);
  const run = enter(book, task, {
    body: json,
    options,
    dueAt,
    slot: undefined,
    id: createRunIds(task.queue)(book.now),
  });
  if (key !== undefined) book.keys.set(key, run);
  return handleOf(player, run, { id: run.id, isNew: true });
}

/** Fires a schedule at an instant. */
export function fireSlot(
  player: Player,
  { id: schedule, task, cron, body }: PlayedSchedule,
  { at, trigger }: { readonly at: number; readonly trigger: Slot["trigger"] },
): PlayedRun {
  const { book } = player;
  const { timezone } = cron;
  const before = book.runs.findLast((run) => run.slot?.schedule === schedule)?.slot?.at;
  const rerun = trigger === "manual" ? book.runs.length + 1 : 0;
  const id = cronRunId({ namespace: "test", queue: task.queue, schedule, slotMs: at, rerun });
  const common = { schedule, task: task.name, slot: at, run: id, trigger, lateMs: 0, timezone };
  record(book, task.queue, { type: "slot.fired", ...common });
  return enter(book, task, {
    id,
    body,
    options: {},
    dueAt: book.now,
    slot: { schedule, at: new Date(at), previous: before, timezone, trigger },
  });
}

/** A hold on a run of the book. */
export function handleOf(
  player: Player,
  run: PlayedRun | undefined,
  { id, isNew }: { readonly id: string; readonly isNew: boolean },
): RunHandle<any> {
  const { book } = player;
  return {
    id,
    isNew,
    status: async () => run?.status ?? "unknown",
    async result({ timeout = "30s" } = {}) {
      if (run === undefined) throw runUnknown(id);
      if (!isOver(run)) await playDue(player, { retries: true });
      if (run.status === "cancelled") throw runCancelled(id, run.reason);
      if (run.status === "died") throw runFailed(id, run.reason ?? "attempts", run.error);
      if (run.status !== "succeeded") throw resultTimeout(id, durationMs(timeout, "timeout"));
      return run.task.output === undefined || run.result === undefined
        ? run.result
        : (await decodeResult(run.task, JSON.stringify(run.result))).value;
    },
    async cancel(reason) {
      if (run === undefined || isOver(run)) return false;
      run.status = "cancelled";
      run.reason = reason;
      record(book, run.task.queue, {
        type: "run.cancelled",
        run: id,
        task: run.task.name,
        ...(reason === undefined ? {} : { reason }),
      });
      return true;
    },
    events: async () => book.events.filter((event): event is LedgerEvent => "run" in event && event.run === id),
  };
}
