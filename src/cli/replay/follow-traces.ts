import type { DatabasePool } from "slonik";
import type { RebuiltSpan } from "../../../otel/rebuilt-span.ts";
import { samplingOf } from "../../../otel/sampling.ts";
import { reasonOf, sendRebuilt } from "../../../otel/send-rebuilt.ts";
import type { LanePoint } from "../../../projections/read-lane.ts";
import { openPool } from "../../../sql/pool.ts";
import { aloneWith, ReplayRunning } from "../../../sql/queries/replay-lock.ts";
import { tableExists } from "../../../sql/queries/shadow.ts";
import { pause } from "../../../streams/lane.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { connectRedis, databaseUrl } from "../servers.ts";
import { stopOnSignal } from "../signals.ts";
import type { Terminal } from "../terminal.ts";
import { rebuildTraces, type TracesWanted } from "./rebuild-traces.ts";
import { findPlaces, keepPlaces } from "./trace-places.ts";

/** Waits before a collector that did not take spans is asked again, in ms. */
const AGAIN_MS = 5_000;
/** While it takes none, that is told every so often, in ms. */
const TELL_EVERY_MS = 60_000;

/** What is followed, and where its spans go. */
export interface Following {
  readonly terminal: Terminal;
  readonly endpoint: string;
  readonly query: Pick<TracesWanted, "from" | "queues" | "tasks" | "batch">;
}

/**
 * Sends spans of what is recorded, as it is recorded, until a signal. How far it is stands in Postgres, and moves once the collector has the spans: whoever
 * goes on after a crash sends the last ones again, and leaves none out. One at a time in a namespace. Throws CliError.
 */
export async function followTraces({ terminal, endpoint, query }: Following): Promise<void> {
  const url = databaseUrl(terminal.env, "How far the traces are is kept in Postgres");
  using server = await connectRedis(terminal.env);
  const { redis, namespace } = server;
  const pool = await openPool(url, { size: 3, applicationName: "tasktrail-traces" });
  const signal = stopOnSignal();
  const sender = { ...{ terminal, endpoint, pool, namespace, signal }, sent: 0 };
  try {
    if (!(await tableExists(pool, "projection_checkpoints"))) throw noTables();
    await aloneWith(pool, { namespace, name: "traces" }, async () => {
      const after = await findPlaces(pool, namespace);
      const from = query.from ?? (after.size === 0 ? Date.now() : 0);
      terminal.note(beginning(after.size, from, endpoint));
      const isKept = samplingOf(terminal.env)?.isKept;
      const wanted: TracesWanted = {
        ...{ ...query, from, after, signal, follow: true, blocking: await server.another() },
        isKept: isKept === undefined ? undefined : (traceId) => isKept(undefined, traceId),
      };
      const progress = { spans: 0, events: 0 };
      const send = (batch: readonly RebuiltSpan[], _sinceMs: number, places: ReadonlyMap<string, LanePoint>) =>
        sendAndKeep(batch, places, sender);
      await rebuildTraces({ redis, namespace, pool }, wanted, { send, progress });
    });
    terminal.note(`${sender.sent.toLocaleString("en")} spans sent to ${endpoint}.`);
  } catch (error) {
    if (error instanceof ReplayRunning) throw new CliError(EXIT.failed, error.message, { cause: error });
    throw error;
  } finally {
    await pool.end();
  }
}

interface Sender {
  readonly terminal: Terminal;
  readonly endpoint: string;
  readonly pool: DatabasePool;
  readonly namespace: string;
  readonly signal: AbortSignal;
  sent: number;
}

/** Asks until the collector has the spans, or it is to stop: then the place stays where it was. */
async function sendAndKeep(
  batch: readonly RebuiltSpan[],
  places: ReadonlyMap<string, LanePoint>,
  sender: Sender,
): Promise<void> {
  const { terminal, endpoint, pool, namespace, signal } = sender;
  let toldAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      if (batch.length > 0) await sendRebuilt(batch, endpoint, terminal.env);
      break;
    } catch (error) {
      if (performance.now() - toldAt > TELL_EVERY_MS) {
        terminal.note(`${batch.length} spans and all that follow wait for the collector: ${reasonOf(error)}`);
        toldAt = performance.now();
      }
      if (signal.aborted) return;
      await pause(AGAIN_MS, signal);
    }
  }
  sender.sent += batch.length;
  await keepPlaces(pool, namespace, places);
}

function noTables(): CliError {
  return new CliError(EXIT.failed, "This database has no tables of Tasktrail's.", {
    advice: "A projector makes them when it starts; so does tasktrail migrate.",
  });
}

function beginning(kept: number, from: number, endpoint: string): string {
  const since = kept > 0 ? "where the last one stopped" : new Date(from).toISOString();
  return `Spans of what is recorded go to ${endpoint}, from ${since} on. Ctrl-C ends it, and the next one goes on from there.`;
}
