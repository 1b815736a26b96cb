import type { Command } from "commander";
import { createScheduler } from "../../scheduler.ts";
import { type Cli, example } from "../command.ts";
import { runsRoles } from "../role-command.ts";

/** `tasktrail scheduler APP`: fires crons. */
export function scheduler(command: Command, cli: Cli): void {
  runsRoles(command, cli, {
    needs: "cron",
    make: ({ broker }) => ({ makers: { scheduler: createScheduler(broker) } }),
  });
  example(command, "scheduler ./tasks.ts");
}
