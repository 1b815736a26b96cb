import type { Attributes } from "@opentelemetry/api";
import { GROUP, NAMES, SYSTEM } from "./attributes.ts";

/** The attributes of a task's operation on a queue. */
export interface OfOperation {
  readonly plain: Attributes;
  /** With the type of an error. */
  failed(type: string): Attributes;
}

/** What is counted and timed of a task on a queue. */
export interface OfTask {
  readonly enqueue: OfOperation;
  readonly process: OfOperation;
  /** Attempts by what became of them. */
  ended(outcome: string, errorType: string | undefined): Attributes;
}

/** Attributes of series: the same object for the same series, so that it need not be looked into again. */
export interface Series {
  ofTask(queue: string, task: string | undefined): OfTask;
  ofQueue(queue: string): Attributes;
  ofSchedule(schedule: string): Attributes;
  ofRefusal(task: string): Attributes;
  ofRedelivery(queue: string, how: string): Attributes;
}

/** Different values that an attribute tells apart; what comes after them is `other`. A stranger's entry may name any task. */
const MOST_VALUES = 200;

/** Keeps the values of each attribute few. */
export function createSeries(): Series {
  const known = createKnown();
  const tasks = cached((queue) => cached((task) => createOfTask({ queue, task, known })));
  const queues = cached((queue) => ({ [NAMES.destination]: queue }));
  const schedules = cached((schedule) => ({ [NAMES.schedule]: schedule }));
  const refusals = cached((task) => ({ [NAMES.task]: task }));
  const redeliveries = cached((queue) => cached((how) => ({ [NAMES.destination]: queue, [NAMES.how]: how })));
  let last: { readonly queue: string; readonly task: string; readonly of: OfTask } | undefined;
  return {
    ofTask(queue, task = "") {
      // Events come in batches of one queue, and mostly of one task.
      if (last?.queue !== queue || last.task !== task)
        last = { queue, task, of: tasks(known(NAMES.destination, queue))(known(NAMES.task, task)) };
      return last.of;
    },
    ofQueue: (queue) => queues(known(NAMES.destination, queue)),
    ofSchedule: (schedule) => schedules(known(NAMES.schedule, schedule)),
    ofRefusal: (task) => refusals(known(NAMES.task, task)),
    ofRedelivery: (queue, how) => redeliveries(known(NAMES.destination, queue))(how),
  };
}

/** Makes a value once for each name. */
function cached<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    let found = made.get(name);
    if (found === undefined) {
      found = make(name);
      made.set(name, found);
    }
    return found;
  };
}

type Known = (attribute: string, value: string) => string;

function createKnown(): Known {
  const seen = cached(() => new Set<string>());
  return (attribute, value) => {
    const values = seen(attribute);
    if (values.has(value)) return value;
    if (values.size >= MOST_VALUES) return "other";
    values.add(value);
    return value;
  };
}

interface TaskOnQueue {
  readonly queue: string;
  /** Empty when it is not known. */
  readonly task: string;
  readonly known: Known;
}

function createOfTask({ queue, task, known }: TaskOnQueue): OfTask {
  const base = { [NAMES.system]: SYSTEM, [NAMES.destination]: queue, ...(task === "" ? {} : { [NAMES.task]: task }) };
  const of = (operation: string, more: Attributes): OfOperation => {
    const plain = { ...base, [NAMES.operationName]: operation, ...more };
    const failed = cached((type) => ({ ...plain, [NAMES.errorType]: type }));
    return { plain, failed: (type) => failed(known(NAMES.errorType, type)) };
  };
  const process = of("process", { [NAMES.operationType]: "process", [NAMES.group]: GROUP });
  const outcomes = cached((outcome) => ({ ...process.plain, [NAMES.outcome]: outcome }));
  const errors = cached((outcome) => cached((type) => ({ ...outcomes(outcome), [NAMES.errorType]: type })));
  return {
    enqueue: of("enqueue", { [NAMES.operationType]: "send" }),
    process,
    ended: (outcome, type) => (type === undefined ? outcomes(outcome) : errors(outcome)(known(NAMES.errorType, type))),
  };
}
