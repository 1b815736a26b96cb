import type { Deps, Values } from "../di/provider.ts";
import type { JsonCheck } from "./json-check.ts";
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

/** Declares a task without its handler: `broker.bind` dispatches it, `implement` gives it one. Throws InvalidOption. */
export function contract<I extends Schema<any, any> = Schema<undefined>, O extends Schema<any, any> = Schema<void>>(
  definition: ContractDefinition<I, O> &
    JsonCheck<InputOf<I>, "input", "input"> &
    JsonCheck<InputOf<O>, "output", "result">,
): Contract<InputOf<I>, OutputOf<I>, InputOf<O>, OutputOf<O>> {
  const { name, input, output, queue = "default", version = 1 } = definition as ContractDefinition<I, O>;
  const declared = { kind: "tasktrail.contract", name, queue, version, input, output } as const;
  const implement = (broker: TaskHost, handler: object) => broker.register({ ...declared, ...handler });
  return { ...declared, implement } as unknown as Contract<InputOf<I>, OutputOf<I>, InputOf<O>, OutputOf<O>>;
}
