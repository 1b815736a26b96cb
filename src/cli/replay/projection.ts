import { projections } from "../../../projections/all.ts";
import { LEDGER } from "../../../projections/lane-deps.ts";
import { type Replayed, type ReplayOptions, replay } from "../../../projections/replay.ts";
import { restoreTable } from "../../../sql/migrate.ts";
import { openPool } from "../../../sql/pool.ts";
import { findCheckpointsOf } from "../../../sql/queries/checkpoints.ts";
import { listParked } from "../../../sql/queries/parked.ts";
import { aloneWith, ReplayRunning } from "../../../sql/queries/replay-lock.ts";
import { tableExists } from "../../../sql/queries/shadow.ts";
import { didYouMean } from "../../define/spelling.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { databaseUrl, namespaceOf } from "../servers.ts";
import type { Terminal } from "../terminal.ts";

/** Where a projection is looked for. */
export interface ReplayPlace {
  readonly terminal: Terminal;
  readonly app?: string | undefined;
}

/** Replays a projection of the namespace, alone. Throws CliError when it cannot, saying why. */
export async function replayProjection(
  name: string,
  { terminal }: ReplayPlace,
  options: ReplayOptions,
): Promise<Replayed> {
  const url = databaseUrl(terminal.env, "A replay folds what Postgres has archived");
  const projection = projections.find((one) => one.name === name);
  if (projection === undefined) throw unknown(name);
  const namespace = namespaceOf(terminal.env);
  const pool = await openPool(url, {
    size: 5,
    applicationName: "tasktrail-replay",
    statementTimeoutMs: 0,
    idleInTransactionTimeoutMs: 0,
  });
  try {
    return await aloneWith(pool, { namespace, name }, async () => {
      const of = { namespace, checkpoint: LEDGER };
      if (!(await tableExists(pool, "projection_checkpoints")) || (await findCheckpointsOf(pool, of)).length === 0)
        throw noHistory(namespace);
      if (options.into !== undefined) await refuseTaken(pool, options.into);
      if (!(await tableExists(pool, projection.table.name))) {
        terminal.note(`The table ${projection.table.name} is gone, and is made anew.`);
        await restoreTable(pool, projection.table.name);
      }
      const parked = (await listParked(pool, namespace)).filter((one) => one.projection === name);
      return await replay({ pool, ...of, projection, parked: new Set(parked.map(({ key }) => key)) }, options);
    });
  } catch (error) {
    if (error instanceof ReplayRunning) throw new CliError(EXIT.failed, error.message, { cause: error });
    throw error;
  } finally {
    await pool.end();
  }
}

function unknown(name: string): CliError {
  const names = ["traces", ...projections.map((one) => one.name)];
  return new CliError(EXIT.usage, `There is no projection "${name}".${didYouMean(name, names)}`, {
    advice: `Those that come with tasktrail: ${names.slice(1).join(", ")}.`,
  });
}

function noHistory(namespace: string): CliError {
  return new CliError(EXIT.failed, `Nothing of namespace "${namespace}" is archived in this database.`, {
    advice: "Check --namespace and DATABASE_URL; the projector archives, and has to have run: tasktrail projector.",
  });
}

async function refuseTaken(pool: Parameters<typeof tableExists>[0], into: string): Promise<void> {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(into))
    throw new CliError(EXIT.usage, `"${into}" cannot be the name of the table.`, {
      advice: "Small letters, digits and _; at most 63 of them.",
    });
  if (await tableExists(pool, into))
    throw new CliError(EXIT.failed, `There is a table ${into} already, and it is left alone.`, {
      advice: "Name another with --into, or drop it.",
    });
}
