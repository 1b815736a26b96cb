import { inPlain } from "./left-out.ts";
import type { Carrier, Hook, Notice } from "./middleware.ts";

/** A hook, and whose it is. */
export interface Hung<T> {
  readonly name: string;
  readonly hook: Hook<T>;
}

/** Hears of hooks that fail. */
export type Announce = (notice: Notice) => void;

/** What the hooks ask to travel or to be recorded: of two that say the same, the inner one's. Undefined when none says anything. */
export function carrierOf(hung: readonly Hung<never>[]): Carrier | undefined {
  let carrier: Carrier | undefined;
  for (const { hook } of hung) {
    if (hook.carrier === undefined) continue;
    carrier = carrier === undefined ? hook.carrier : { ...inPlain(carrier), ...inPlain(hook.carrier) };
  }
  return carrier;
}

/** Begins something inside its hooks, the first one outermost. One that throws is told of; whatever a hook does, it is begun, and once. */
export function beginWithin(hung: readonly Hung<never>[], announce: Announce, begin: () => void): void {
  let hasBegun = false;
  const enter = (index: number): void => {
    const { name = "", hook } = hung[index] ?? {};
    if (hook?.enter !== undefined) {
      try {
        hook.enter(() => enter(index + 1));
      } catch (error) {
        tellOfHook(announce, name, error);
      }
    }
    if (hasBegun) return;
    hasBegun = hook === undefined;
    if (hook === undefined) begin();
    else enter(index + 1);
  };
  enter(0);
}

/** Tells the hooks how it ended, the innermost first. */
export function endWithin<T>(hung: readonly Hung<T>[], announce: Announce, outcome: T): void {
  for (let index = hung.length - 1; index >= 0; index -= 1) {
    const { name, hook } = hung[index] as Hung<T>;
    try {
      hook.end?.(outcome);
    } catch (error) {
      tellOfHook(announce, name, error);
    }
  }
}

/** A hook that fails costs nothing but itself. */
export function tellOfHook(announce: Announce, name: string, error: unknown): void {
  announce({ kind: "problem", what: `a hook of the middleware "${name}" has failed`, error });
}
