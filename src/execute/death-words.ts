/** What is said of an entry that cannot be read. */
export function damaged(why: string): Error {
  return plainError("UndecodableEntry", `The entry cannot be read: ${why}`);
}

/** What is said of a run that nobody could take. */
export function unknown(task: string, reason: string): Error {
  const what = { newer_version: "a newer version of its input", newer_format: "a newer format" }[reason];
  const means =
    what === undefined ? `No worker knew task "${task}"` : `No worker could read ${what} for task "${task}"`;
  return plainError("UnknownTask", `${means} in the time that such runs wait (unknownTaskGrace)`);
}

/** What is said of a run whose process died again and again. */
export function poison(count: number): Error {
  return plainError("Poison", `The worker's process died each of the ${count} times that this run was at work`);
}

function plainError(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  error.stack = "";
  return error;
}
