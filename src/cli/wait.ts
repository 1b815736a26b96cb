import type { Duration } from "../define/duration.ts";
import type { RunHandle } from "../run.ts";
import type { Terminal } from "./terminal.ts";
import { clean } from "./text.ts";

/** Says which run there is now. */
export function toldRun(
  handle: RunHandle<unknown>,
  { json }: { readonly json?: boolean | undefined },
  terminal: Terminal,
): void {
  if (json === true) terminal.json({ run: handle.id, isNew: handle.isNew });
  else terminal.line(handle.isNew ? handle.id : `${handle.id} (it was there before, under the same key)`);
}

/** How a run is waited for. */
export interface Waiting {
  /** Default: 30 seconds. */
  readonly timeout?: Duration | undefined;
  readonly isJson: boolean;
}

/** Waits for a run's end and prints its result. Throws what `result()` does: RunFailed, RunCancelled, RunSkipped, ResultTimeout. */
export async function waitFor(
  handle: RunHandle<unknown>,
  { timeout, isJson }: Waiting,
  terminal: Terminal,
): Promise<void> {
  if (!isJson) terminal.note(terminal.noteStyle("dim", `run ${handle.id}`));
  const result = await handle.result(timeout === undefined ? {} : { timeout });
  if (isJson) terminal.json({ run: handle.id, status: "succeeded", result });
  else terminal.line(result === undefined ? "succeeded" : clean(JSON.stringify(result)));
}
