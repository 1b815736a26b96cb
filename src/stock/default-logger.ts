import { createRequire } from "node:module";
import type { Logger } from "pino";
import type { LoggerLike } from "../define/broker.ts";

/**
 * The logger of a broker that was given none: pino, one JSON object a line, to stderr.
 * pino is loaded by the first line, and at once rather than by a promise: a line that waits for one is lost when the process ends.
 */
export function createDefaultLogger(level: () => string): LoggerLike {
  let made: Logger | undefined;
  const logger = () => {
    made ??= makePino(level());
    return made;
  };
  return {
    debug: (bindings, message) => logger().debug(bindings, message),
    info: (bindings, message) => logger().info(bindings, message),
    warn: (bindings, message) => logger().warn(bindings, message),
    error: (bindings, message) => logger().error(bindings, message),
    child: (bindings) => logger().child(bindings),
    isLevelEnabled: (name) => logger().isLevelEnabled(name),
  };
}

function makePino(level: string): Logger {
  const { pino } = createRequire(import.meta.url)("pino") as typeof import("pino");
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
}
