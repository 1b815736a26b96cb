import { DEFAULTS } from "../defaults.ts";
import { checkDeps, type Deps } from "../di/provider.ts";
import { invalidOption } from "../errors.ts";
import type { CronPolicies } from "./cron.ts";
import { CRON_KEYS, cronRecord } from "./cron-record.ts";
import { checkNamed } from "./named.ts";
import { checkKeys, checkObject, type Notes, shown, within } from "./options.ts";
import { placeOfCaller } from "./place.ts";
import type { Policies } from "./policy.ts";
import { checkPolicies, POLICY_KEYS } from "./resolve-policies.ts";
import type { AnySchema } from "./schema.ts";
import type { Named, TaskRecord } from "./task.ts";

const taskKeys = ["name", "queue", "version", ...POLICY_KEYS, "input", "deps", "run"];
const contractKeys = [...taskKeys, "kind", "output"];
const cronKeys = ["name", "queue", "version", ...POLICY_KEYS, ...CRON_KEYS, "deps", "run", "kind", "expression"];

const taskNotes: Notes = {
  output:
    "a task's result is what its handler returns. To state it, use contract({ output }).implement(broker, { run })",
  handler: "the handler is called `run`",
  cron: 'a task on a schedule is declared with cron(broker, "0 3 * * *", { … })',
  retries: "write retry: { attempts }",
  concurrency: "it belongs to the worker: createWorker(broker, { concurrency })",
  delay: "it belongs to a dispatch: task.with({ delay }).kiq(…)",
};
const cronNotes: Notes = {
  input: "a cron's first argument is its slot. What else it needs, it reads itself",
  schedule: "the expression is the second argument of cron()",
};

/** What tasks, crons and implemented contracts have in common, as it comes. */
interface Definition extends Named, Policies, CronPolicies {
  readonly kind?: string | undefined;
  readonly expression?: unknown;
  readonly input?: AnySchema | undefined;
  readonly output?: AnySchema | undefined;
  readonly deps?: Deps | undefined;
  readonly run?: TaskRecord["run"];
}

/** Turns what `broker.task`, `cron` or `implement` was given into what the engine works with. Throws InvalidOption for what cannot be. */
export function declareTask(definition: object): TaskRecord {
  checkObject("definition", definition);
  const given = definition as Definition;
  const isCron = given.kind === "tasktrail.cron";
  const owner = `${isCron ? "cron" : "task"} ${shown(given.name)}`;
  return within(owner, () => {
    if (isCron) checkKeys("a cron", given, cronKeys, cronNotes);
    else checkKeys("a task", given, given.kind === "tasktrail.contract" ? contractKeys : taskKeys, taskNotes);
    if (typeof given.run !== "function")
      throw invalidOption("run", "the handler is missing: run(input, deps, run) { … }");
    return toRecord(owner, given, isCron);
  });
}

/** A contract as the engine sees it when its handler lives elsewhere. `name` is the one it has in `bind`. Throws InvalidOption for what is no contract. */
export function declareContract(name: string, contract: unknown): TaskRecord {
  const given = contract as Partial<Definition> | null | undefined;
  if (given?.kind !== "tasktrail.contract" || given.name === undefined) {
    throw invalidOption(name, `bind takes contracts, as contract({ name }) makes them, and not ${shown(contract)}`);
  }
  const { kind, name: declared, queue, version, input, output } = given;
  return toRecord(`contract "${declared}"`, { kind, name: declared, queue, version, input, output }, false);
}

function toRecord(owner: string, given: Definition, isCron: boolean): TaskRecord {
  const { name, queue, version, input, output, deps = {}, retry, timeout, resultTtl, inbox, run } = given;
  checkNamed(given);
  checkDeps(owner, deps);
  const policies: Policies = { retry, timeout, resultTtl, inbox };
  checkPolicies(policies);
  return Object.freeze({
    name,
    queue: queue ?? DEFAULTS.queue,
    version: version ?? DEFAULTS.version,
    input,
    output,
    deps,
    policies,
    run,
    cron: isCron ? cronRecord(given.expression, given) : undefined,
    declaredAt: placeOfCaller(),
  });
}
