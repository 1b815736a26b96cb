import type { DatabasePool } from "slonik";
import { MigrationError, migrate } from "../../sql/migrate.ts";
import { type DatabaseSource, DatabaseUnreachable, poolFrom } from "../../sql/pool.ts";
import { pause } from "../../streams/lane.ts";
import type { Notice } from "../middleware.ts";
import { type RelaySettings, relayBackoffMs } from "./settings.ts";

/**
 * Opens Postgres and brings the schema up to date; closed with `opened`. What is away is waited for: undefined when it was aborted
 * meanwhile. Throws what will not pass by itself: a URL that cannot be read, a schema that does not fit.
 */
export async function openOutbox(
  {
    database,
    settings,
    announce,
  }: { readonly database: DatabaseSource; readonly settings: RelaySettings; announce(notice: Notice): void },
  signal: AbortSignal,
  opened: AsyncDisposableStack,
): Promise<DatabasePool | undefined> {
  let pool: DatabasePool | undefined;
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      if (pool === undefined) {
        const made = await poolFrom(database, { size: settings.poolSize, applicationName: "tasktrail-relay" });
        if (made.isOurs) opened.defer(() => made.pool.end());
        pool = made.pool;
      }
      await migrate(pool);
      return pool;
    } catch (error) {
      if (error instanceof MigrationError || (error instanceof DatabaseUnreachable && error.cause instanceof TypeError))
        throw error;
      if (failures === 1 || failures % 10 === 0)
        announce({
          kind: "problem",
          what: "the relay cannot start yet; it will be tried again",
          error,
          facts: { failures },
        });
      await pause(relayBackoffMs(failures, settings), signal);
    }
  }
  return undefined;
}
