import type { LoggerLike } from "./define/broker.ts";
import type { Middleware, Notice } from "./middleware.ts";

/** Puts what the engine tells into words, for people who read logs. */
export function createObserver(logger: LoggerLike): Middleware {
  return {
    name: "tasktrail.log",
    notice(notice: Notice) {
      if (notice.kind === "problem") logger.warn({ err: notice.error, ...notice.facts }, notice.what);
    },
  };
}
