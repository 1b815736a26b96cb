import { Redis } from "ioredis";
import { enqueue } from "../../../streams/enqueue.ts";
import { createRunIds } from "../../../streams/ids.ts";
import { ensureLane, type Lane, newIncarnation, openLane } from "../../../streams/lane.ts";
import { beat } from "../../../streams/leases.ts";
import { read } from "../../../streams/read.ts";
import { type Settlement, settle } from "../../../streams/settle.ts";

/** A lane with a worker, on which runs are made and ended through the scripts themselves. */
export interface SeededLane extends Disposable {
  readonly lane: Lane;
  readonly worker: string;
  /** Enqueues a run; `delayMs` schedules it. */
  add(task: string, delayMs?: number): Promise<string>;
  /** Takes the run that has waited longest, and starts it. */
  start(): Promise<void>;
  /** The same, and ends it well. */
  succeed(): Promise<void>;
  /** The same, and lets it die. */
  die(message: string): Promise<void>;
}

/** Opens a queue of a namespace. */
export async function seedLane(url: string, namespace: string, queue = "default"): Promise<SeededLane> {
  const redis = new Redis(url, { protocol: 2 });
  await ensureLane(redis, namespace, queue);
  const worker = newIncarnation();
  const lane = openLane({ redis, namespace, queue, incarnation: worker });
  const newId = createRunIds(queue);
  const end = async (ending?: (delivery: Settlement["delivery"], attempt: object) => Settlement) => {
    await beat(redis, lane.keys, { consumer: worker, leaseMs: 30_000 });
    const [delivery] = await read(redis, lane.keys, { consumer: worker, count: 1 });
    if (delivery === undefined) throw new Error("nothing waits");
    const attempt = { run: delivery.entry.run, task: delivery.entry.task, attempt: 1, delivery: 1, worker };
    const started: Settlement = {
      kind: "started",
      delivery,
      events: [{ type: "run.started", ...attempt, waitedMs: 5 }],
    };
    await settle(lane, { consumer: worker, settlements: ending ? [started, ending(delivery, attempt)] : [started] });
  };
  return {
    lane,
    worker,
    async add(task, delayMs = 0) {
      const run = newId(Date.now());
      const dueAt = delayMs === 0 ? 0 : Date.now() + delayMs;
      const event = { type: "run.enqueued", run, task, input: { to: "a" }, ...(dueAt === 0 ? {} : { dueAt }) } as const;
      await enqueue(lane, [
        { run, task, meta: JSON.stringify({ enqueuedAt: Date.now() }), body: '{"to":"a"}', expires: 0, dueAt, event },
      ]);
      return run;
    },
    start: () => end(),
    succeed: () =>
      end((delivery, attempt) => ({
        kind: "ended",
        delivery,
        events: [{ type: "run.succeeded", ...attempt, durationMs: 7 } as never],
      })),
    die: (message) =>
      end((delivery, attempt) => {
        const error = { type: "TypeError", message, fingerprint: "f" };
        const event = { type: "run.died", ...attempt, reason: "attempts", error, durationMs: 7 };
        return { kind: "dead", delivery, reason: "attempts", error: JSON.stringify(error), events: [event as never] };
      }),
    [Symbol.dispose]: () => redis.disconnect(),
  };
}
