import { EXIT } from "./exit-codes.ts";

// Ctrl-C reaches a program started by npm up to three times at once: from the terminal, from npm and from its launcher.
const SAME_WISH_MS = 300;

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, with its name as the reason; a second one ends the process at once, with 130
 * or 143. Also aborts after `forMs`, when that is given.
 */
export function stopOnSignal(forMs?: number): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (firstAt !== undefined && performance.now() - firstAt > SAME_WISH_MS) {
        process.exit(name === "SIGINT" ? EXIT.interrupted : EXIT.terminated);
      }
      firstAt ??= performance.now();
      controller.abort(name);
    });
  }
  if (forMs !== undefined) setTimeout(() => controller.abort("--for"), forMs).unref();
  return controller.signal;
}
