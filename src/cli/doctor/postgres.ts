import { type DatabasePool, sql } from "slonik";
import { MigrationError, pendingMigrations } from "../../../sql/migrate.ts";
import { listParked } from "../../../sql/queries/parked.ts";
import { describeDatabase } from "../../../sql/url.ts";
import { counted } from "../words.ts";
import { type Finding, findings } from "./finding.ts";
import { checkOutbox } from "./outbox.ts";

const { ok, warn, fail } = findings("Postgres");

/** Versions before it lack what the archive uses. */
const OLDEST = 140_000;

/** What the database is asked with. */
export interface PostgresCheck {
  readonly pool: DatabasePool;
  readonly url: string;
  readonly namespace: string;
  /** Sessions that a worker may open: as many as it has handlers. */
  readonly concurrency: number;
}

/** The database: version, schema, connections, outbox, and what the projector had to set aside. */
export async function checkPostgres({ pool, url, namespace, concurrency }: PostgresCheck): Promise<Finding[]> {
  const server = (await pool.one(serverState)) as ServerState;
  const schema = await checkSchema(pool);
  const isReady = schema.every(({ level }) => level === "ok");
  return [
    ok(`reachable at ${describeDatabase(url)}`),
    ...checkServer(server, concurrency),
    ...schema,
    ...(isReady ? [...(await checkParked(pool, namespace)), ...(await checkOutbox(pool, namespace))] : []),
  ];
}

interface ServerState {
  readonly version: string;
  readonly number: number;
  readonly most: number;
  readonly used: number;
  readonly isReadOnly: boolean;
}

const serverState = sql.unsafe`
  select
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as number,
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer as most,
    (select count(*)::integer from pg_stat_activity where backend_type = 'client backend') as used,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "isReadOnly"`;

function checkServer({ version, number, most, used, isReadOnly }: ServerState, concurrency: number): Finding[] {
  const found: Finding[] = [
    number >= OLDEST
      ? ok(`PostgreSQL ${version}`)
      : fail(`PostgreSQL ${version} is too old`, "PostgreSQL 14 or newer is needed."),
  ];
  if (isReadOnly) found.push(fail("this server takes no writes", "Name the primary in DATABASE_URL."));
  const left = most - used;
  const what = `${used} of ${most} connections in use; a worker opens up to ${concurrency}`;
  if (left >= concurrency) found.push(ok(what));
  else found.push(warn(what, "Raise max_connections, lower --concurrency, or put a pooler in between."));
  return found;
}

async function checkSchema(pool: DatabasePool): Promise<Finding[]> {
  try {
    const pending = await pendingMigrations(pool);
    if (pending.length === 0) return [ok("all migrations are applied")];
    const names = pending.map(({ name }) => name).join(", ");
    return [
      fail(
        `${counted(pending.length, "migration")} pending: ${names}`,
        "Run: tasktrail migrate (a projector does so when it starts)",
      ),
    ];
  } catch (error) {
    if (error instanceof MigrationError)
      return [fail(error.message, "Run the version of tasktrail that made this schema.")];
    throw error;
  }
}

async function checkParked(pool: DatabasePool, namespace: string): Promise<Finding[]> {
  const parked = await listParked(pool, namespace, 1_000);
  const [first] = parked;
  if (first === undefined) return [];
  const what = `${counted(parked.length, "row")} of the projections stand still; the latest is ${first.key} of ${first.projection}: ${first.errorMessage}`;
  return [warn(what, "Their events could not be folded. The ledger has them; a fixed version can fold them again.")];
}
