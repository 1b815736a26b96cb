import { randomInt } from "node:crypto";
import { readSchedules } from "../../streams/cron.ts";
import type { EnqueueRecord } from "../../streams/enqueue.ts";
import type { EntryMeta } from "../../streams/entry.ts";
import { cronRunId } from "../../streams/ids.ts";
import type { Lane } from "../../streams/lane.ts";
import { DEFAULTS } from "../defaults.ts";
import type { TaskRecord } from "../define/task.ts";
import { localTime, openZone } from "../define/zone.ts";
import { invalidOption } from "../errors.ts";
import type { Carrier } from "../middleware.ts";
import { aroundSend, sendHooks } from "./around-send.ts";
import { failure, openFor, type SendParts, type Sent, toSent } from "./send.ts";

/** A slot of its own for a cron that is fired by hand. */
interface ManualSlot {
  readonly run: string;
  readonly at: number;
  /** The last slot that fired by itself. */
  readonly previous: number | undefined;
}

/** Fires a cron now, as a slot of its own, past any pause. Throws EnqueueFailed. */
export async function trigger(parts: SendParts, task: TaskRecord): Promise<Sent> {
  if (task.cron === undefined) {
    throw invalidOption("trigger", `task "${task.name}" is on no schedule: dispatch it with kiq`);
  }
  const { lane, outbox, confirm } = await openFor(parts, task);
  const deadline = performance.now() + parts.enqueueTimeoutMs();
  const dispatch = async (slot: ManualSlot, carrier: Carrier) => {
    const landing = await outbox.add(manualRecord(task, slot, carrier), deadline);
    await confirm?.(deadline);
    return toSent(landing, slot.run, lane.queue);
  };
  try {
    const slot = await manualSlot(lane, task, deadline);
    return await aroundSend({
      hooks: sendHooks(parts.middleware()),
      sending: {
        task: task.name,
        queue: lane.queue,
        runs: [slot.run],
        cron: { schedule: task.name, slot: slot.at, trigger: "manual" },
      },
      dispatch: (carrier) => dispatch(slot, carrier),
      announce: parts.announce,
    });
  } catch (error) {
    throw failure(parts, task, { error, sent: 0 });
  }
}

/** Names the slot: now, and by chance, so that no two triggers are the same run. */
async function manualSlot(lane: Lane, task: TaskRecord, deadline: number): Promise<ManualSlot> {
  const [kept] = await readSchedules(lane, [task.name], { deadline });
  const at = Math.trunc(lane.clock.now());
  const { namespace, queue } = lane;
  const run = cronRunId({ namespace, queue, schedule: task.name, slotMs: at, rerun: randomInt(1, 2 ** 31) });
  return { run, at, previous: kept?.fired };
}

/** What goes to Redis for a cron that is fired by hand: as for any slot, and past any pause. It never expires: somebody wants it. */
function manualRecord(task: TaskRecord, { run, at, previous }: ManualSlot, carrier: Carrier): EnqueueRecord {
  const timezone = task.cron?.timezone ?? DEFAULTS.timezone;
  const isPlainVersion = task.version === DEFAULTS.version;
  const meta: EntryMeta = {
    ...(isPlainVersion ? {} : { taskVersion: task.version }),
    enqueuedAt: at,
    cron: { schedule: task.name, at, ...(previous === undefined ? {} : { previous }), timezone, trigger: "manual" },
    ...carrier,
  };
  const { traceparent } = carrier;
  const common = {
    run,
    task: task.name,
    schedule: task.name,
    slot: at,
    trigger: "manual",
    ...(traceparent === undefined ? {} : { traceparent }),
  } as const;
  return {
    run,
    task: task.name,
    meta: JSON.stringify(meta),
    body: "",
    expires: 0,
    dueAt: 0,
    before: { type: "slot.fired", ...common, lateMs: 0, timezone, scheduledLocal: localTime(openZone(timezone), at) },
    event: {
      type: "run.enqueued",
      ...common,
      timezone,
      ...(previous === undefined ? {} : { previousSlot: previous }),
      ...(isPlainVersion ? {} : { taskVersion: task.version }),
    },
  };
}
