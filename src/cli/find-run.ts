import type { DatabasePool } from "slonik";
import type { AnyEvent } from "../../projections/read-lane.ts";
import { isRunId } from "../../streams/ids.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import type { OpenRedis } from "./servers.ts";

/** Where runs are looked for. */
export interface RunPlaces {
  readonly server: OpenRedis;
  readonly pool?: DatabasePool | undefined;
}

/**
 * The id of a run, from the whole of it or from its end as narrow listings show it (`…8ce6c7a3`). Throws CliError when no run
 * ends so, or several do.
 */
export async function findRunId(text: string, places: RunPlaces): Promise<string> {
  const wanted = text.replace(/^(…|\.\.\.)/, "").toLowerCase();
  if (isRunId(wanted)) return wanted;
  if (!/^[0-9a-f-]{6,35}$/.test(wanted)) {
    throw new CliError(EXIT.usage, `"${text}" is not the id of a run.`, {
      advice: "Give the whole id, as in 01a20722-a4d2-7505-aeb9-c2a4f8bd9076, or its last six characters or more.",
    });
  }
  const found = new Set([...(await inTail(wanted, places.server)), ...(await inTable(wanted, places))]);
  const [only] = found;
  if (only !== undefined && found.size === 1) return only;
  if (only === undefined) throw unknownRun(text, places);
  throw new CliError(EXIT.failed, `Several runs end in ${wanted}: ${[...found].slice(0, 5).join(", ")}`);
}

/** Says that there is no such run, and where was looked. */
export function unknownRun(text: string, { server, pool }: RunPlaces): CliError {
  const where = pool === undefined ? "the ledger's tail in Redis" : "task_runs and the ledger";
  return new CliError(EXIT.failed, `No run ${text} is known in namespace "${server.namespace}" (looked in ${where}).`, {
    advice:
      pool === undefined
        ? "Older runs are in Postgres: set DATABASE_URL, or give --database URL."
        : "Check the id and the namespace; `tasktrail runs` lists the latest.",
  });
}

async function inTail(ending: string, { redis, namespace }: OpenRedis): Promise<string[]> {
  const { endOfLedger, latestEvents } = await import("../../projections/latest-events.ts");
  const tail = { redis, namespace };
  const isOfIt = (event: AnyEvent) => "run" in event && String(event.run).endsWith(ending);
  const events = await latestEvents(tail, { limit: 200, until: await endOfLedger(tail), accept: isOfIt });
  return [...new Set(events.map((event) => (event as { run: string }).run))];
}

async function inTable(ending: string, { server, pool }: RunPlaces): Promise<string[]> {
  if (pool === undefined) return [];
  const { sql } = await import("slonik");
  const findRunsEndingIn = sql.unsafe`
    select id::text as id from task_runs where namespace = ${server.namespace} and id::text like ${`%${ending}`} limit 5`;
  const rows = await pool.any(findRunsEndingIn);
  return rows.map((row) => (row as { id: string }).id);
}
