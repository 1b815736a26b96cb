import { setImmediate as nextTurn } from "node:timers/promises";
import { readSchedules } from "../../streams/cron.ts";
import { FIRED_AT_ONCE, type Fired, type Firing } from "../../streams/schedules.ts";
import { aroundSend } from "../enqueue/around-send.ts";
import type { Carrier } from "../middleware.ts";
import type { Plan } from "./misfire.ts";
import { lateMsOf, runOf, type Step, toFiring } from "./record-slot.ts";
import { adopt, type FiringDeps, type Known, moveOn, planAt, type Schedule, whenDue } from "./schedule.ts";
import { type Due, takeTurn } from "./turn.ts";
import { createVolley, type Volley } from "./volley.ts";

/** How long Redis is waited for before it is thought over again what is due, in ms. */
const ANSWER_MS = 3_000;
const limits = () => ({ deadline: performance.now() + ANSWER_MS });
/** Until a slot that had not come yet on Redis' clock is tried again, in ms. */
const EARLY_MS = 2;

/** A schedule that could not be fired, and why. */
export interface Unfired {
  readonly schedule: Schedule;
  readonly error: unknown;
}

/**
 * Does what schedules of one lane owe by now: records what they missed, fires what is due, and says in each one's `dueAt` when there is more.
 * No slot fires twice, however many schedulers do so at once. Gives those for which Redis was not there to be asked.
 */
export async function fireDue(deps: FiringDeps, due: Due): Promise<readonly Unfired[]> {
  const turn = await takeTurn(deps, due);
  const volley = createVolley(due.lane, limits);
  try {
    const settling: Promise<Unfired | undefined>[] = [];
    for (const [index, schedule] of turn.ours.entries()) {
      settling.push(settle({ deps, schedule, volley }).catch((error: unknown) => ({ schedule, error })));
      if (index % FIRED_AT_ONCE === FIRED_AT_ONCE - 1) await nextTurn(); // Redis works on these while the next are put together
    }
    return (await Promise.all(settling)).filter((one) => one !== undefined);
  } finally {
    await turn.lock?.release().catch(() => {}); // it ends by itself
  }
}

interface Place {
  readonly deps: FiringDeps;
  readonly schedule: Schedule;
  readonly volley: Volley;
}

async function settle(place: Place): Promise<undefined> {
  const { deps, schedule } = place;
  const plan = planAt(schedule, deps.now());
  schedule.dueAt = plan.nextDueAt;
  if (plan.missed.length + plan.fire.length === 0) return;
  const refusal = await carryOut(place, plan);
  if (refusal?.why === "taken") moveOn(schedule, refusal.standing);
  if (refusal?.why === "changed") await readAgain(deps, schedule);
  const now = deps.now();
  schedule.dueAt = refusal?.why === "early" ? now + EARLY_MS : whenDue(planAt(schedule, now), now);
}

/** Reads where a schedule stands. */
async function readAgain(deps: FiringDeps, schedule: Schedule): Promise<void> {
  const [kept] = await readSchedules(schedule.lane, [schedule.name], limits());
  if (kept !== undefined) adopt(schedule, { definition: kept.definition, standing: kept }, deps.now());
}

/** Takes the steps of a plan, oldest first, until one is refused. */
async function carryOut(place: Place, plan: Plan): Promise<Extract<Fired, { isFired: false }> | undefined> {
  for (const step of stepsOf(plan)) {
    const { known } = place.schedule;
    if (known === undefined) return undefined;
    const fired = await take(step, { ...place, known });
    if (!fired.isFired) return fired;
  }
  return undefined;
}

/** A plan cut into calls: what was missed is recorded with the first slot that fires. */
function stepsOf({ missed, fire: due }: Plan): Step[] {
  if (due.length === 0) return [{ missed, due: undefined }];
  return due.map((one, index) => ({ missed: index === 0 ? missed : [], due: { ...one, before: index } }));
}

type KnownPlace = Place & { readonly known: Known };

function take(step: Step, place: KnownPlace): Promise<Fired> {
  const { deps, schedule, known, volley } = place;
  const { lane } = schedule;
  const dispatch = async (carrier: Carrier): Promise<Fired> => {
    const firing = toFiring(schedule, known, { step, carrier, nowMs: deps.now() });
    const fired = await volley.add(firing);
    if (fired.isFired) tookPlace(firing, place);
    return fired;
  };
  if (step.due === undefined) return dispatch({});
  const { slot, trigger } = step.due;
  const cron = { schedule: schedule.name, slot, trigger };
  const sending = { task: known.definition.content.task, queue: lane.queue, runs: [runOf(schedule, { slot })], cron };
  return aroundSend({ hooks: deps.hooks(), announce: deps.announce, sending, dispatch });
}

/** Takes in what Redis has just recorded, and tells of it. */
function tookPlace({ slot, events, run }: Firing, { deps, schedule, known }: KnownPlace): void {
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
