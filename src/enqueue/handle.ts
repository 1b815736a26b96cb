import type { RunHandle } from "../run.ts";

/** A hold on a run. */
export function makeHandle({ run, isNew }: { readonly run: string; readonly isNew: boolean }): RunHandle<unknown> {
  const later = () => Promise.reject(new Error("not built yet"));
  return { id: run, isNew, status: later, result: later, cancel: later, events: later };
}
