import { ENTRY_FIELD, type Entry, packEntry } from "../../streams/entry.ts";

/** The field and the value of an entry as it lies in a stream, for tests that write one by hand: of the task "t", at its first attempt. */
export function entryFields(
  run: string,
  over: Partial<Record<keyof Entry, string | number>> = {},
): [field: string, value: string] {
  const whole = { run, task: "t", attempt: 1, key: "", expires: 0, meta: "{}", body: "", ...over };
  return [ENTRY_FIELD, packEntry(whole as Entry)];
}
