import { setMaxListeners } from "node:events";
import type { Role } from "./define/role.ts";

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
