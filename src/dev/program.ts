import { DevError } from "./errors.ts";

// Ctrl-C arrives once from the terminal, once from npm and once from our own launcher: within this time it is one wish.
const SAME_WISH_MS = 1_000;

/** Runs one of the project's programs: its exit code, or a message and a code where something is not as it must be. */
export async function program(main: () => Promise<number | undefined>): Promise<void> {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    const isMisspelt = String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
    if (!(error instanceof DevError) && !isMisspelt) throw error;
    console.error((error as Error).message);
    process.exitCode = error instanceof DevError ? error.exitCode : 64;
  }
}

/**
 * Aborts when the user asks to stop (Ctrl-C, SIGTERM, SIGHUP), with the signal's name as its reason. A second wish, more
 * than a second later, ends the process at once: the servers' watchdogs stop what still runs.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      firstAt ??= performance.now();
      controller.abort(name);
      if (performance.now() - firstAt > SAME_WISH_MS) process.exit(130);
    });
  }
  return controller.signal;
}
