import { listQueues } from "../../streams/lane.ts";
import { type DeadLetter, listDead } from "../deliver/dead-letters.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import type { OpenRedis } from "./servers.ts";

/** Which dead runs are meant. */
export interface DeadWanted {
  readonly queue?: readonly string[] | undefined;
  readonly task?: string | undefined;
  readonly limit?: number | undefined;
}

/** The dead of every queue, latest first. */
export async function findDead({ redis, namespace }: OpenRedis, wanted: DeadWanted): Promise<DeadLetter[]> {
  const { queue, task, limit = Number.POSITIVE_INFINITY } = wanted;
  const queues = queue ?? (await listQueues(redis, namespace));
  const lists = await Promise.all(queues.map((name) => listDead(redis, namespace, { queue: name, task, limit })));
  return lists
    .flat()
    .sort((a, b) => b.diedAt.getTime() - a.diedAt.getTime())
    .slice(0, limit);
}

/** One dead run, by its id or the end of it. Throws CliError when there is none, or several. */
export async function findOneDead(server: OpenRedis, text: string): Promise<DeadLetter> {
  const ending = text.replace(/^(…|\.\.\.)/, "").toLowerCase();
  const found = ending === "" ? [] : (await findDead(server, {})).filter(({ run }) => run.endsWith(ending));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  if (only !== undefined) {
    throw new CliError(
      EXIT.failed,
      `Several dead runs end in ${ending}: ${found
        .slice(0, 5)
        .map(({ run }) => run)
        .join(", ")}`,
    );
  }
  throw new CliError(EXIT.failed, `No dead run ${text} lies in namespace "${server.namespace}".`, {
    advice: "`tasktrail dead list` shows those that do. A run that was redriven lies there no more.",
  });
}
