import type { Execution } from "../../src/middleware.ts";

/** An attempt as hooks are told of it: the first of a plain run, but for what a test wants otherwise. */
export function anExecution(some: Partial<Execution> = {}): Execution {
  return {
    run: "01-run",
    task: "greet",
    queue: "mail",
    attempt: 1,
    delivery: 1,
    worker: "w1",
    enqueuedAt: 1_000,
    dueAt: undefined,
    schedule: undefined,
    slot: undefined,
    trigger: undefined,
    maxAttempts: 3,
    input: undefined,
    redriveOf: undefined,
    isOfMany: false,
    carrier: {},
    previous: undefined,
    ...some,
  };
}
