const ours = new URL("..", import.meta.url).href;

/**
 * Where in the user's code we were called from, as `file:line`; for the messages of DuplicateTask.
 * Read from the stack, which costs microseconds and is done once per declared task.
 */
export function placeOfCaller(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 20;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  // A program may have put something else in the place of stacks (Error.prepareStackTrace).
  if (typeof stack !== "string") return "an unknown place";
  return placeIn(stack, ours);
}

/** The first place in a stack that is not below `own`, a URL. */
export function placeIn(stack: string, own: string): string {
  const ownPath = own.replace(/^file:\/\//, "");
  for (const line of stack.split("\n")) {
    const found = /(?:at (?:async )?|\()((?:file:\/\/|[A-Za-z]:[\\/]|\/)[^()]*?):(\d+):\d+\)?$/.exec(line.trimEnd());
    const [, file, number] = found ?? [];
    if (file === undefined || file.startsWith(own) || file.startsWith(ownPath)) continue;
    return `${file.replace(/^file:\/\//, "")}:${number}`;
  }
  return "an unknown place";
}
