import { readSchedules } from "../../streams/cron.ts";
import { type Fired, type Firing, fire } from "../../streams/schedules.ts";
import { aroundSend } from "../enqueue/around-send.ts";
import type { Carrier } from "../middleware.ts";
import type { Plan } from "./misfire.ts";
import { lateMsOf, runOf, type Step, toFiring } from "./record-slot.ts";
import { adopt, type FiringDeps, type Known, moveOn, planAt, type Schedule, whenDue } from "./schedule.ts";
import { takeTurn } from "./turn.ts";

/** How long Redis is waited for before it is thought over again what is due, in ms. */
const ANSWER_MS = 3_000;
/** Until a slot that had not come yet on Redis' clock is tried again, in ms. */
const EARLY_MS = 2;

/**
 * Does what a schedule owes at an instant: records what it missed, fires what is due, and says in `dueAt` when there is more.
 * No slot fires twice, however many schedulers do so at once. Throws CallFailed when Redis was not there to be asked.
 */
export async function fireDue(deps: FiringDeps, schedule: Schedule, nowMs: number): Promise<void> {
  const plan = planAt(schedule, nowMs);
  schedule.dueAt = plan.nextDueAt;
  if (plan.missed.length + plan.fire.length === 0) return;
  const turn = await takeTurn(deps, schedule);
  if (turn.kind === "passed") return;
  try {
    const refusal = await carryOut(deps, schedule, plan);
    if (refusal?.why === "taken") moveOn(schedule, refusal.standing);
    if (refusal?.why === "changed") await readAgain(deps, schedule);
    const now = deps.now();
    schedule.dueAt = refusal?.why === "early" ? now + EARLY_MS : whenDue(planAt(schedule, now), now);
  } finally {
    await turn.lock?.release().catch(() => {}); // it ends by itself
  }
}

/** Reads where a schedule stands. */
async function readAgain(deps: FiringDeps, schedule: Schedule): Promise<void> {
  const limits = { deadline: performance.now() + ANSWER_MS };
  const [kept] = await readSchedules(schedule.lane, [schedule.name], limits);
  if (kept !== undefined) adopt(schedule, { definition: kept.definition, standing: kept }, deps.now());
}

/** Takes the steps of a plan, oldest first, until one is refused. */
async function carryOut(
  deps: FiringDeps,
  schedule: Schedule,
  plan: Plan,
): Promise<Extract<Fired, { isFired: false }> | undefined> {
  for (const step of stepsOf(plan)) {
    const { known } = schedule;
    if (known === undefined) return undefined;
    const fired = await take(step, { deps, schedule, known });
    if (!fired.isFired) return fired;
  }
  return undefined;
}

/** A plan cut into calls: what was missed is recorded with the first slot that fires. */
function stepsOf({ missed, fire: due }: Plan): Step[] {
  if (due.length === 0) return [{ missed, due: undefined }];
  return due.map((one, index) => ({ missed: index === 0 ? missed : [], due: { ...one, before: index } }));
}

interface Place {
  readonly deps: FiringDeps;
  readonly schedule: Schedule;
  readonly known: Known;
}

function take(step: Step, { deps, schedule, known }: Place): Promise<Fired> {
  const { lane } = schedule;
  const limits = { deadline: performance.now() + ANSWER_MS };
  const dispatch = async (carrier: Carrier): Promise<Fired> => {
    const firing = toFiring(schedule, known, { step, carrier, nowMs: deps.now() });
    const fired = await fire(lane, firing, limits);
    if (fired.isFired) tookPlace(firing, { deps, schedule, known });
    return fired;
  };
  if (step.due === undefined) return dispatch({});
  const { slot, trigger } = step.due;
  const cron = { schedule: schedule.name, slot, trigger };
  const sending = { task: known.definition.content.task, queue: lane.queue, runs: [runOf(schedule, { slot })], cron };
  return aroundSend({ hooks: deps.hooks(), announce: deps.announce, sending, dispatch });
}

/** Takes in what Redis has just recorded, and tells of it. */
function tookPlace({ slot, events, run }: Firing, { deps, schedule, known }: Place): void {
  const { fired, firedCount } = known.situation.standing;
  moveOn(schedule, {
    last: slot,
    fired: run === undefined ? fired : slot,
    firedCount: firedCount + (run === undefined ? 0 : 1),
  });
  const { name, lane } = schedule;
  deps.announce({ kind: "events.recorded", queue: lane.queue, events });
  for (const event of events) {
    if (event.type === "slot.missed") {
      const lateMs = lateMsOf(known, event.slot, deps.now());
      deps.announce({ kind: "slot.missed", schedule: name, slot: event.slot, lateMs, count: event.missedCount });
    } else if (event.type === "slot.fired") {
      deps.announce({ kind: "slot.fired", schedule: name, slot, lateMs: event.lateMs, run: event.run });
    }
  }
}
