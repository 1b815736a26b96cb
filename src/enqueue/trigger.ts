import { randomInt } from "node:crypto";
import { readSchedules } from "../../streams/cron.ts";
import type { EnqueueRecord } from "../../streams/enqueue.ts";
import type { EntryMeta, EntrySlot } from "../../streams/entry.ts";
import { cronRunId } from "../../streams/ids.ts";
import type { Lane } from "../../streams/lane.ts";
import { DEFAULTS } from "../defaults.ts";
import type { TaskRecord } from "../define/task.ts";
import { localTime, openZone } from "../define/zone.ts";
import { invalidOption } from "../errors.ts";
import { inPlain } from "../left-out.ts";
import type { Carrier } from "../middleware.ts";
import { aroundSend, sendHooks } from "./around-send.ts";
import { failure, openFor, type SendParts } from "./send.ts";
import { type Sent, toSent } from "./sent.ts";

/** A slot of its own for a cron that is fired by hand. */
interface ManualSlot {
  readonly run: string;
  readonly at: number;
  /** The last slot that fired by itself. */
  readonly previous: number | undefined;
}

/** What is fired by hand. */
export interface TriggerOrder {
  readonly schedule: string;
  /** The task's name, and the version that the input is of. Default: the first. */
  readonly task: string;
  readonly version?: number | undefined;
  readonly queue: string;
  readonly timezone: string;
  /** JSON of the input. Default: none. */
  readonly body?: string | undefined;
  readonly lock?: EntrySlot["lock"];
}

/** Fires a cron now, as a slot of its own, past any pause. Throws EnqueueFailed. */
export async function trigger(parts: SendParts, task: TaskRecord): Promise<Sent> {
  const { name, version, queue, cron } = task;
  if (cron === undefined) throw invalidOption("trigger", `task "${name}" is on no schedule: dispatch it with kiq`);
  return triggerSchedule(parts, { schedule: name, task: name, version, queue, timezone: cron.timezone });
}

/** Fires a schedule now, as a slot of its own, past any pause. Throws EnqueueFailed. */
export async function triggerSchedule(parts: SendParts, order: TriggerOrder): Promise<Sent> {
  const task = { name: order.task, queue: order.queue };
  const { lane, coalescer, confirm } = await openFor(parts, task);
  const deadline = performance.now() + parts.enqueueTimeoutMs();
  const dispatch = async (slot: ManualSlot, carrier: Carrier) => {
    const landing = await coalescer.add(manualRecord(order, slot, carrier), deadline);
    await confirm?.(deadline);
    return toSent(landing, slot.run, lane.queue);
  };
  try {
    const slot = await manualSlot(lane, order.schedule, deadline);
    const cron = { schedule: order.schedule, slot: slot.at, trigger: "manual" };
    return await aroundSend({
      hooks: sendHooks(parts.middleware()),
      sending: { task: order.task, queue: lane.queue, runs: [slot.run], cron },
      dispatch: (carrier) => dispatch(slot, carrier),
      announce: parts.announce,
    });
  } catch (error) {
    throw failure(parts, task, { error, sent: 0 });
  }
}

/** Names the slot: now, and by chance, so that no two triggers are the same run. */
async function manualSlot(lane: Lane, schedule: string, deadline: number): Promise<ManualSlot> {
  const [kept] = await readSchedules(lane, [schedule], { deadline });
  const at = Math.trunc(lane.clock.now());
  const { namespace, queue } = lane;
  const run = cronRunId({ namespace, queue, schedule, slotMs: at, rerun: randomInt(1, 2 ** 31) });
  return { run, at, previous: kept?.fired };
}

/** What goes to Redis for a cron that is fired by hand: as for any slot, and past any pause. It never expires: somebody wants it. */
function manualRecord(order: TriggerOrder, { run, at, previous }: ManualSlot, carrier: Carrier): EnqueueRecord {
  const { schedule, task, timezone, body = "", lock } = order;
  const version =
    order.version === undefined || order.version === DEFAULTS.version ? {} : { taskVersion: order.version };
  const before = previous === undefined ? {} : { previous };
  const excluding = lock === undefined ? {} : { lock };
  const meta: EntryMeta = {
    ...version,
    enqueuedAt: at,
    cron: { schedule, at, ...before, timezone, trigger: "manual", ...excluding },
    ...inPlain(carrier),
  };
  const { traceparent } = carrier;
  const traced = traceparent === undefined ? {} : { traceparent };
  const common = { run, task, schedule, slot: at, trigger: "manual", ...traced } as const;
  return {
    run,
    task,
    meta: JSON.stringify(meta),
    body,
    expires: 0,
    dueAt: 0,
    before: { type: "slot.fired", ...common, lateMs: 0, timezone, scheduledLocal: localTime(openZone(timezone), at) },
    event: {
      type: "run.enqueued",
      ...common,
      timezone,
      ...(previous === undefined ? {} : { previousSlot: previous }),
      ...excluding,
      ...(body === "" ? {} : { input: JSON.parse(body) }),
      ...version,
    },
  };
}
