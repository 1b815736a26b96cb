import { type Announce, beginWithin, carrierOf, endWithin, type Hung, tellOfHook } from "../around.ts";
import type { Carrier, Middleware, Sending, Sent } from "../middleware.ts";

/** A middleware that hangs a hook on dispatches. */
export type SendHook = Middleware & Required<Pick<Middleware, "send">>;

const known = new WeakMap<readonly Middleware[], readonly SendHook[]>();

/** Those of a process' middleware that have a hook around dispatches. Sought once in each list: a broker gives the same one until it changes. */
export function sendHooks(middleware: readonly Middleware[]): readonly SendHook[] {
  let hooks = known.get(middleware);
  if (hooks === undefined) {
    hooks = middleware.filter((one): one is SendHook => one.send !== undefined);
    known.set(middleware, hooks);
  }
  return hooks;
}

/** A dispatch with hooks around it. */
export interface Around<T> {
  readonly hooks: readonly SendHook[];
  readonly sending: Sending;
  readonly dispatch: (carrier: Carrier) => Promise<T>;
  readonly announce: Announce;
}

/** Dispatches with every hook around it, the first outermost. A hook that throws, or forgets to go on, costs no run. */
export function aroundSend<T>({ hooks, sending, dispatch, announce }: Around<T>): Promise<T> {
  const hung: Hung<Sent>[] = [];
  for (const one of hooks) {
    try {
      const hook = one.send(sending);
      if (hook !== undefined) hung.push({ name: one.name, hook });
    } catch (error) {
      tellOfHook(announce, one.name, error);
    }
  }
  const carrier = carrierOf(hung) ?? {};
  if (hung.length === 0) return dispatch(carrier);
  let sent: Promise<T> | undefined;
  beginWithin(hung, announce, () => {
    sent = dispatch(carrier);
  });
  return (sent as unknown as Promise<T>).then(
    (value) => {
      endWithin(hung, announce, {});
      return value;
    },
    (error: unknown) => {
      endWithin(hung, announce, { error });
      throw error;
    },
  );
}
