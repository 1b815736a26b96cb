// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore-all lint/complexity/noBannedTypes: `{}` is what a task without dependencies needs, and how editors show it
import { DEFAULTS } from "../defaults.ts";
import type { Deps, Values } from "../di/provider.ts";
import { invalidOption } from "../errors.ts";
import type { JsonCheck } from "./json-check.ts";
import { checkNamed } from "./named.ts";
import { checkKeys, checkObject, type Notes, shown, within } from "./options.ts";
import type { InputOf, OutputOf, Schema } from "./schema.ts";
import type { HandlerDefinition, Named, Task, TaskHost } from "./task.ts";

/** What producer and worker agree on: name, input, result. No handler and no Redis, so that a package of its own can hold it. */
export interface Contract<in out Input, in out Parsed, in out Result, in out Final = Result> {
  readonly kind: "tasktrail.contract";
  readonly name: string;
  readonly queue: string;
  readonly version: number;
  readonly input: Schema<Input, Parsed> | undefined;
  readonly output: Schema<Result, Final> | undefined;
  /** Gives it its handler, on the broker of the process that works it. In a second step, so that the handler's literals are checked against `output` where they stand. */
  implement<D extends Deps = {}>(
    broker: TaskHost,
    handler: HandlerDefinition<Parsed, D, Result>,
  ): Task<Input, Final, Values<D>>;
}

/** What `contract` takes. */
export interface ContractDefinition<I extends Schema<any, any>, O extends Schema<any, any>> extends Named {
  /** Checked by the producer before Redis, and by the worker before the handler. Default: no input. */
  readonly input?: I | undefined;
  /** Checked by the worker; what `result()` resolves to. Default: no result. */
  readonly output?: O | undefined;
}

const contractKeys = ["name", "queue", "version", "input", "output"];
const workersPart = "it is the worker's, not the contract's: state it where implement() gives the handler";
const notes: Notes = {
  run: workersPart,
  deps: workersPart,
  retry: workersPart,
  timeout: workersPart,
  resultTtl: workersPart,
  inbox: workersPart,
};

/** Declares a task without its handler: `broker.bind` dispatches it, `implement` gives it one. Throws InvalidOption. */
export function contract<I extends Schema<any, any> = Schema<undefined>, O extends Schema<any, any> = Schema<void>>(
  definition: ContractDefinition<I, O> &
    JsonCheck<InputOf<I>, "input", "input"> &
    JsonCheck<InputOf<O>, "output", "result">,
): Contract<InputOf<I>, OutputOf<I>, InputOf<O>, OutputOf<O>> {
  const given = definition as ContractDefinition<I, O>;
  checkObject("definition", given);
  within(`contract ${shown(given.name)}`, () => {
    checkKeys("a contract", given, contractKeys, notes);
    checkNamed(given);
  });
  const { name, input, output, queue = DEFAULTS.queue, version = DEFAULTS.version } = given;
  const declared = { kind: "tasktrail.contract", name, queue, version, input, output } as const;
  const implement = (broker: TaskHost, handler: object) => {
    for (const key of ["name", "queue", "version", "input", "output"]) {
      if (!(key in handler)) continue;
      throw invalidOption(
        key,
        `of contract "${name}" is the contract's, and cannot be stated again where it is implemented`,
      );
    }
    return broker.register({ ...handler, ...declared });
  };
  return { ...declared, implement } as unknown as Contract<InputOf<I>, OutputOf<I>, InputOf<O>, OutputOf<O>>;
}
