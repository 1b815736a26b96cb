import { invalidOption } from "../errors.ts";
import type { CronPolicies } from "./cron.ts";
import { CRON_KEYS, cronRecord } from "./cron-record.ts";
import { checkKeys, checkObject, instantMs, type Notes, shown, within } from "./options.ts";
import type { SchedulePort, ScheduleRequest, Schedules } from "./schedules.ts";
import { recordOf } from "./task.ts";

const keys = ["task", "cron", "input", ...CRON_KEYS];
const notes: Notes = {
  expression: "the expression is called `cron`",
  every: 'write a cron expression: cron: "*/5 * * * *"',
  name: "the schedule's name is the first argument",
  queue: "a schedule's runs go to its task's queue",
  retry: "it is the task's",
};

/** The schedules of a broker, as users hold them: everything but the input is checked before Redis is asked. */
export function makeSchedules(port: SchedulePort): Schedules {
  return {
    upsert: async (id, definition) => port.upsert(checkedId(id), requestOf(id, definition)),
    list: async () => port.list(),
    pause: async (id) => port.pause(checkedId(id)),
    resume: async (id) => port.resume(checkedId(id)),
    remove: async (id) => port.remove(checkedId(id)),
    trigger: async (id) => port.trigger(checkedId(id)),
    async backfill(id, range) {
      checkObject("range", range);
      checkKeys("a backfill", range, ["from", "until"]);
      const [from, until] = [instantMs("from", range.from), instantMs("until", range.until)];
      if (until < from) throw invalidOption("until", "lies before from");
      return port.backfill(checkedId(id), { from, until });
    },
  };
}

function checkedId(id: unknown): string {
  if (typeof id === "string" && /^[^\s\p{Cc}]{1,200}$/u.test(id) && id.isWellFormed()) return id;
  throw invalidOption("id", `${shown(id)} cannot be a schedule's id: 1 to 200 characters, none of them white space`);
}

function requestOf(id: string, definition: object): ScheduleRequest {
  checkObject("definition", definition);
  const given = definition as CronPolicies & {
    readonly task?: unknown;
    readonly cron?: unknown;
    readonly input?: unknown;
  };
  return within(`schedule ${shown(id)}`, () => {
    checkKeys("a schedule", given, keys, notes);
    const task = recordOf(given.task);
    if (task === undefined) {
      throw invalidOption("task", `${shown(given.task)} is no task: pass what broker.task() or broker.bind() gave`);
    }
    return { task, cron: cronRecord(given.cron, given), input: given.input };
  });
}
