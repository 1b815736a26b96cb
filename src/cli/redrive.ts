import { CALLS_IN_FLIGHT, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { type DeadLetter, type Redriven, redrive } from "../deliver/dead-letters.ts";
import { isConfirmed } from "./confirm.ts";
import { type DeadWanted, findDead, findOneDead } from "./dead-runs.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { connectRedis, type OpenRedis } from "./servers.ts";
import type { Terminal } from "./terminal.ts";
import { counted } from "./words.ts";

/** Options of `dead redrive`. */
export interface RedriveOptions extends DeadWanted {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** How long one redrive may wait for Redis, in ms. */
const PATIENCE_MS = 10_000;

/** Runs dead runs again: those that are named, or all of a task, of queues, or of the namespace once that is confirmed. */
export async function redriveDead(runs: readonly string[], options: RedriveOptions, terminal: Terminal): Promise<void> {
  const { all, task, queue } = options;
  const isMany = all === true || task !== undefined || queue !== undefined;
  if (runs.length === 0 && !isMany) {
    throw new CliError(EXIT.usage, "Which runs?", {
      advice: "Name them by their ids, or give --task NAME, --queue NAME, or --all.",
    });
  }
  if (runs.length > 0 && isMany) {
    throw new CliError(EXIT.usage, "Runs are named, and --task, --queue or --all is given as well.", {
      advice: "Give one or the other.",
    });
  }
  using server = await connectRedis(terminal.env);
  const chosen = isMany
    ? await findDead(server, { task, queue })
    : await Promise.all(runs.map((run) => findOneDead(server, run)));
  if (chosen.length === 0)
    throw new CliError(EXIT.failed, "No such run is dead.", { advice: "`tasktrail dead list` shows those that are." });
  if (
    isMany &&
    !(await isConfirmed(`${counted(chosen.length, "dead run")} would be run again`, { yes: options.yes, terminal }))
  ) {
    terminal.note("Nothing was done.");
    return;
  }
  await redriveAll(server, chosen, { isJson: options.json === true, terminal });
}

interface Telling {
  readonly isJson: boolean;
  readonly terminal: Terminal;
}

async function redriveAll(
  server: OpenRedis,
  chosen: readonly DeadLetter[],
  { isJson, terminal }: Telling,
): Promise<void> {
  const lanes = lanesOf(server);
  let failures = 0;
  for (let from = 0; from < chosen.length; from += CALLS_IN_FLIGHT) {
    const some = chosen.slice(from, from + CALLS_IN_FLIGHT);
    const results = await Promise.allSettled(
      some.map((one) => redrive(lanes(one.queue), one, { deadline: performance.now() + PATIENCE_MS })),
    );
    for (const [index, result] of results.entries()) {
      if (result.status === "fulfilled") tell(result.value, { isJson, terminal });
      else {
        failures += 1;
        terminal.note(`${some[index]?.run}: ${(result.reason as Error).message}`);
      }
    }
  }
  if (failures > 0)
    throw new CliError(EXIT.failed, `${counted(failures, "run")} of ${chosen.length} could not be run again.`);
}

function tell({ dead, run, isNew }: Redriven, { isJson, terminal }: Telling): void {
  if (isJson) terminal.json({ run, redriveOf: dead.run, task: dead.task, isNew });
  else terminal.line(`${dead.run} → ${run}${isNew ? "" : " (it had been run again before)"}`);
}

function lanesOf({ redis, namespace }: OpenRedis): (queue: string) => Lane {
  const incarnation = newIncarnation();
  const lanes = new Map<string, Lane>();
  return (queue) => {
    const lane = lanes.get(queue) ?? openLane({ redis, namespace, queue, incarnation });
    lanes.set(queue, lane);
    return lane;
  };
}
