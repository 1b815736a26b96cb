import type { Command } from "commander";
import { createRelay } from "../../relay.ts";
import { type Cli, example } from "../command.ts";
import { runsRoles } from "../role-command.ts";

/** `tasktrail relay APP`: takes what transactions have dispatched to Redis. */
export function relay(command: Command, cli: Cli): void {
  runsRoles(command, cli, { make: ({ broker }) => ({ makers: { relay: createRelay(broker) } }) });
  example(command, "relay ./tasks.ts");
}
