import { bullmq } from "./bullmq.ts";
import type { Contender } from "./contender.ts";
import { raw } from "./raw.ts";
import { tasktrail } from "./tasktrail.ts";

const contenders: readonly Contender[] = [tasktrail, bullmq, raw];

/** Those that do jobs, and the ceiling. */
export const withCeiling: readonly string[] = contenders.map(({ name }) => name);
/** Those that do jobs. */
export const queues: readonly string[] = [tasktrail.name, bullmq.name];

/** A contender by its name. */
export function contenderNamed(wanted: string): Contender {
  const found = contenders.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`there is no contender ${wanted}`);
  return found;
}
