import { setMaxListeners } from "node:events";
import type { Health, Role } from "./define/role.ts";

/** What a role does and how it is. */
export interface RoleParts {
  /** Its whole life: returns when it has drained, after the signal. */
  run(signal: AbortSignal): Promise<void>;
  health(isStopping: boolean): Health;
}

/** Makes a role of it, that runs once: until the caller's signal is aborted or `stop()` is called, whichever comes first. */
export function makeRole({ run, health }: RoleParts): Role {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  let running: Promise<void> | undefined;
  const stop = async () => {
    stopping.abort();
    await running?.catch(() => {}); // whoever called run() hears of it
  };
  return {
    run(signal) {
      running ??= run(stopping.signal);
      const abort = () => stopping.abort();
      if (signal?.aborted === true) abort();
      signal?.addEventListener("abort", abort, { once: true });
      return running.finally(() => signal?.removeEventListener("abort", abort));
    },
    stop,
    health: () => health(stopping.signal.aborted),
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Runs several roles together until the signal is aborted, and returns once all of them have drained.
 * The first that fails stops the others; it rejects with that failure when they have drained, too.
 */
export async function runRoles(roles: readonly Role[], signal?: AbortSignal): Promise<void> {
  const failing = new AbortController();
  const until = signal === undefined ? failing.signal : AbortSignal.any([signal, failing.signal]);
  setMaxListeners(0, until);
  const failures: unknown[] = [];
  await Promise.all(
    roles.map(async (role) => {
      try {
        await role.run(until);
      } catch (error) {
        failures.push(error);
        failing.abort();
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}
