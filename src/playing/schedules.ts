import { nextSlots } from "../define/pattern.ts";
import { encodeInput } from "../define/payload.ts";
import type { SchedulePort, ScheduleState } from "../define/schedules.ts";
import { invalidOption, scheduleUnknown } from "../errors.ts";
import { type PlayedSchedule, record } from "./book.ts";
import type { Player } from "./play.ts";
import { fireSlot, handleOf } from "./port.ts";

/** All schedules of a broker under test, those of `cron()` first. */
export function schedulesOf({ engine, book }: Player): PlayedSchedule[] {
  const declared = engine.records.flatMap((task) =>
    task.cron === undefined ? [] : [{ id: task.name, task, cron: task.cron, body: "" }],
  );
  return [...declared, ...book.schedules.values()];
}

/** The first slot of a schedule after an instant; undefined while it is paused, and when it has no more. */
export function slotAfter({ book }: Player, { id, cron }: PlayedSchedule, afterMs: number): number | undefined {
  if (book.paused.has(id)) return undefined;
  const [slot] = nextSlots(cron, Math.max(afterMs, (cron.startsAtMs ?? 0) - 1), 1);
  return slot === undefined || slot > (cron.endsAtMs ?? slot) ? undefined : slot;
}

/** Schedules that are kept in the book. What passes while one is paused is not caught up on; no clock but the test's goes on. */
export function playingSchedules(player: Player): SchedulePort {
  const { book, engine } = player;
  const find = (id: string) => {
    const found = schedulesOf(player).find((one) => one.id === id);
    if (found === undefined) throw scheduleUnknown(id, "test");
    return found;
  };
  const told = (type: "schedule.paused" | "schedule.resumed" | "schedule.removed", { id, task }: PlayedSchedule) =>
    record(book, task.queue, { type, schedule: id, task: task.name });
  return {
    async upsert(id, { task, cron, input }) {
      if (engine.records.some((one) => one.cron !== undefined && one.name === id))
        throw invalidOption("id", `"${id}" is a cron() in the code: give it another id`);
      const { json } = await encodeInput(task, input, engine.maxPayloadBytes);
      book.schedules.set(id, { id, task, cron, body: json });
      const { expression, timezone } = cron;
      const common = { schedule: id, task: task.name, expression, timezone, source: "run_time" };
      record(book, task.queue, { type: "schedule.upserted", ...common });
    },
    list: async () => schedulesOf(player).map((one) => stateOf(player, one)),
    async pause(id) {
      const found = find(id);
      if (!book.paused.has(id)) told("schedule.paused", found);
      book.paused.add(id);
    },
    async resume(id) {
      const found = find(id);
      if (book.paused.delete(id)) told("schedule.resumed", found);
    },
    async remove(id) {
      const found = find(id);
      if (!book.schedules.delete(id)) throw invalidOption("id", `"${id}" is a cron() in the code: take it out there`);
      book.paused.delete(id);
      told("schedule.removed", found);
    },
    async trigger(id) {
      const run = fireSlot(player, find(id), { at: book.now, trigger: "manual" });
      return handleOf(player, run, { id: run.id, isNew: true });
    },
    async backfill(id, { from, until }) {
      const found = find(id);
      const fired = new Set(book.runs.flatMap(({ slot }) => (slot?.schedule === id ? [slot.at.getTime()] : [])));
      const asked = nextSlots(found.cron, from - 1, MOST).filter((slot) => slot <= Math.min(until, book.now));
      const runs = asked
        .filter((slot) => !fired.has(slot))
        .map((at) => fireSlot(player, found, { at, trigger: "backfill" }));
      return runs.map((run) => handleOf(player, run, { id: run.id, isNew: true }));
    },
  };
}

const MOST = 10_000;

function stateOf(player: Player, one: PlayedSchedule): ScheduleState {
  const { id, task, cron } = one;
  const next: Date[] = [];
  for (let after = player.book.now; next.length < 3; ) {
    const slot = slotAfter(player, one, after);
    if (slot === undefined) break;
    next.push(new Date(slot));
    after = slot;
  }
  return {
    id,
    task: task.name,
    cron: cron.expression,
    timezone: cron.timezone,
    isPaused: player.book.paused.has(id),
    lastSlot: player.book.runs.findLast(({ slot }) => slot?.schedule === id)?.slot?.at,
    next,
    lockHolder: undefined,
  };
}
