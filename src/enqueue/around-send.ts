import type { Carrier, Middleware, Notice, Sending } from "../middleware.ts";

/** A middleware that hangs a hook on dispatches. */
export type SendHook = Middleware & Required<Pick<Middleware, "send">>;

/** Those of a process' middleware that have a hook around dispatches. */
export function sendHooks(middleware: readonly Middleware[]): readonly SendHook[] {
  return middleware.filter((one): one is SendHook => one.send !== undefined);
}

/** A dispatch with hooks around it. */
export interface Around<T> {
  readonly hooks: readonly SendHook[];
  readonly sending: Sending;
  readonly dispatch: (carrier: Carrier) => Promise<T>;
  readonly announce: (notice: Notice) => void;
}

/** Dispatches with every hook around it, the first outermost. A hook that throws, or forgets to call on, is told of and costs no run. */
export function aroundSend<T>({ hooks, sending, dispatch, announce }: Around<T>): Promise<T> {
  const from = (index: number, carrier: Carrier): Promise<T> => {
    const hook = hooks[index];
    if (hook === undefined) return dispatch(carrier);
    return through(hook, { sending, announce, next: (added) => from(index + 1, { ...carrier, ...added }) });
  };
  return from(0, {});
}

interface Passage<T> {
  readonly sending: Sending;
  readonly announce: (notice: Notice) => void;
  readonly next: (added: Carrier) => Promise<T>;
}

async function through<T>(hook: SendHook, { sending, announce, next }: Passage<T>): Promise<T> {
  let outcome: Promise<T> | undefined;
  const once = (added: Carrier = {}): Promise<T> => {
    outcome ??= next(added);
    return outcome;
  };
  try {
    await hook.send(sending, once);
  } catch (error) {
    // What the dispatch itself threw passes through the hook, and is thrown again below.
    const own = await outcome?.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (outcome === undefined || own !== error) {
      announce({ kind: "problem", what: `the send hook of middleware "${hook.name}" threw`, error });
    }
  }
  return once();
}
