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
  const ownPath = pathOf(own);
  for (const line of stack.split("\n")) {
    const found = /(?:at (?:async )?|\()((?:file:\/\/|[A-Za-z]:[\\/]|\/)[^()]*?):(\d+):\d+\)?$/.exec(line.trimEnd());
    const [, file, number] = found ?? [];
    if (file === undefined || pathOf(file).startsWith(ownPath)) continue;
    return `${pathOf(file)}:${number}`;
  }
  return "an unknown place";
}

/** A stack has a URL, in which a space is %20, or a path, in which it is a space: depending on what has loaded the file. */
function pathOf(file: string): string {
  const text = file.replace(/^file:\/\//, "");
  if (text === file) return file;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
