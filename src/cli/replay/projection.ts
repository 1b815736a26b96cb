import type { DatabasePool } from "slonik";
import { projections } from "../../../projections/all.ts";
import type { Replayed, ReplayOptions } from "../../../projections/catch-up.ts";
import { LEDGER } from "../../../projections/lane-deps.ts";
import { openOwn } from "../../../projections/own.ts";
import type { AnyProjection } from "../../../projections/projection.ts";
import { replay } from "../../../projections/replay.ts";
import { restoreTable } from "../../../sql/migrate.ts";
import { poolFrom } from "../../../sql/pool.ts";
import { findCheckpointsOf } from "../../../sql/queries/checkpoints.ts";
import { listParked } from "../../../sql/queries/parked.ts";
import { aloneWith, ReplayRunning } from "../../../sql/queries/replay-lock.ts";
import { tableExists } from "../../../sql/queries/shadow.ts";
import { didYouMean } from "../../define/spelling.ts";
import type { Engine } from "../../engine.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { loadApplication } from "../load.ts";
import { databaseUrl, namespaceOf } from "../servers.ts";
import type { Terminal } from "../terminal.ts";

/** Where a projection is looked for: among those that come with the engine, and those of an application. */
export interface ReplayPlace {
  readonly terminal: Terminal;
  readonly app?: string | undefined;
}

/** Replays a projection of the namespace, alone. Throws CliError when it cannot, saying why. */
export async function replayProjection(name: string, place: ReplayPlace, options: ReplayOptions): Promise<Replayed> {
  const { terminal, app } = place;
  const engine = app === undefined ? undefined : (await loadApplication({ app, cwd: terminal.cwd })).engine;
  const find = finder(name, engine);
  const namespace = engine?.namespace ?? namespaceOf(terminal.env);
  const source = engine?.database ?? databaseUrl(terminal.env, "A replay folds what Postgres has archived");
  const { pool, isOurs } = await poolFrom(source, {
    size: 5,
    applicationName: "tasktrail-replay",
    statementTimeoutMs: 0,
    idleInTransactionTimeoutMs: 0,
  });
  try {
    return await aloneWith(pool, { namespace, name }, async () => {
      await requireHistory(pool, namespace);
      if (options.into !== undefined) await refuseTaken(pool, options.into);
      const { projection, checkpoint } = await find(pool, { namespace, terminal });
      const parked = (await listParked(pool, namespace)).filter((one) => one.projection === projection.name);
      const keys = new Set(parked.map(({ key }) => key));
      return await replay({ pool, namespace, projection, checkpoint, parked: keys }, options);
    });
  } catch (error) {
    if (error instanceof ReplayRunning) throw new CliError(EXIT.failed, error.message, { cause: error });
    throw error;
  } finally {
    if (isOurs) await pool.end();
  }
}

type Found = { readonly projection: AnyProjection; readonly checkpoint: string };
type Find = (pool: DatabasePool, where: { readonly namespace: string; readonly terminal: Terminal }) => Promise<Found>;

/** How a projection is got, once there is a database. Throws CliError at once for a name that there is not. */
function finder(name: string, engine: Engine | undefined): Find {
  const shipped = projections.find((one) => one.name === name);
  const own = engine?.projections.find((one) => one.name === name);
  if (own !== undefined)
    return async (pool, { namespace }) => {
      const checkpoint = `${own.name}@${own.version}`;
      const kept = await findCheckpointsOf(pool, { namespace, checkpoint });
      if (kept.length > 0) return { projection: await openOwn(pool, own), checkpoint };
      throw new CliError(EXIT.failed, `Version ${own.version} of projection ${name} has never been kept here.`, {
        advice: "A projector that runs the application builds it by itself: tasktrail projector.",
      });
    };
  if (shipped === undefined) throw unknown(name, engine);
  return async (pool, { terminal }) => {
    if (!(await tableExists(pool, shipped.table.name))) {
      terminal.note(`The table ${shipped.table.name} is gone, and is made anew.`);
      await restoreTable(pool, shipped.table.name);
    }
    return { projection: shipped, checkpoint: LEDGER };
  };
}

function unknown(name: string, engine: Engine | undefined): CliError {
  const names = [...projections, ...(engine?.projections ?? [])].map((one) => one.name);
  const more = engine === undefined ? " For one of an application's, name it: --app ./tasks.ts" : "";
  return new CliError(EXIT.usage, `There is no projection "${name}"${didYouMean(name, ["traces", ...names]) || "."}`, {
    advice: `There are ${names.join(", ")}.${more}`,
  });
}

async function requireHistory(pool: DatabasePool, namespace: string): Promise<void> {
  const isThere = await tableExists(pool, "projection_checkpoints");
  if (isThere && (await findCheckpointsOf(pool, { namespace, checkpoint: LEDGER })).length > 0) return;
  throw new CliError(EXIT.failed, `Nothing of namespace "${namespace}" is archived in this database.`, {
    advice: "Check --namespace and DATABASE_URL; the projector archives, and has to have run: tasktrail projector.",
  });
}

async function refuseTaken(pool: DatabasePool, into: string): Promise<void> {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(into))
    throw new CliError(EXIT.usage, `"${into}" cannot be the name of the table.`, {
      advice: "Small letters, digits and _; at most 63 of them.",
    });
  if (!(await tableExists(pool, into))) return;
  throw new CliError(EXIT.failed, `There is a table ${into} already, and it is left alone.`, {
    advice: "Name another with --into, or drop it.",
  });
}
