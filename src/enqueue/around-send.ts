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

/** A dispatch, and the hooks that are asked of it. */
export interface Asked {
  readonly hooks: readonly SendHook[];
  readonly sending: Sending;
  readonly announce: Announce;
}

/** Hooks that hang around one dispatch. */
export interface HungSend {
  /** What they say is to travel. */
  readonly carrier: Carrier;
  /** Begins it with every hook around it, the first outermost. `begin` must not throw: it is called once, whatever hooks do. */
  begin(begin: () => void): void;
  /** True when it need not be begun within them, since what is sent has been begun already. */
  readonly isForCall: boolean;
  /** Tells them how it ended. */
  end(sent: Sent): void;
}

/** Asks the hooks what is to be done around a dispatch. A hook that throws costs no run. */
export function hangAround({ hooks, sending, announce }: Asked): HungSend {
  const hung: Hung<Sent>[] = [];
  for (const one of hooks) {
    try {
      const hook = one.send(sending);
      if (hook !== undefined) hung.push({ name: one.name, hook });
    } catch (error) {
      tellOfHook(announce, one.name, error);
    }
  }
  return {
    carrier: carrierOf(hung) ?? {},
    isForCall: hung.every(({ hook }) => hook.enter === undefined || hook.isForCall === true),
    begin: (begin) => beginWithin(hung, announce, begin),
    end: (sent) => endWithin(hung, announce, sent),
  };
}

/** A dispatch with hooks around it. */
export interface Around<T> extends Asked {
  readonly dispatch: (carrier: Carrier) => Promise<T>;
}

/** Dispatches with every hook around it. */
export function aroundSend<T>({ dispatch, ...asked }: Around<T>): Promise<T> {
  const { carrier, begin, end } = hangAround(asked);
  let sent: Promise<T> | undefined;
  begin(() => {
    sent = dispatch(carrier);
  });
  return (sent as unknown as Promise<T>).then(
    (value) => {
      end({});
      return value;
    },
    (error: unknown) => {
      end({ error });
      throw error;
    },
  );
}
