import type { DatabasePool } from "slonik";
import { MigrationError, migrate } from "../../sql/migrate.ts";
import { type DatabaseSource, DatabaseUnreachable, poolFrom } from "../../sql/pool.ts";
import { pause } from "../../streams/lane.ts";
import { aborted } from "../aborted.ts";
import type { Notice } from "../middleware.ts";
import { type RelaySettings, relayBackoffMs } from "./settings.ts";

/** What an outbox is opened with. */
export interface OpenOutbox {
  readonly database: DatabaseSource;
  readonly settings: RelaySettings;
  /** Resolves when somebody else has made the tables. Undefined: they are made here. */
  readonly tables: Promise<void> | undefined;
  announce(notice: Notice): void;
}

/**
 * Opens Postgres and brings the schema up to date, or waits until that is done; closed with `opened`. What is away is waited for: undefined when it was aborted
 * meanwhile. Throws what will not pass by itself: a URL that cannot be read, a schema that does not fit.
 */
export async function openOutbox(
  { database, settings, tables, announce }: OpenOutbox,
  signal: AbortSignal,
  opened: AsyncDisposableStack,
): Promise<DatabasePool | undefined> {
  await Promise.race([tables, aborted(signal)]);
  let pool: DatabasePool | undefined;
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      if (pool === undefined) {
        const made = await poolFrom(database, { size: settings.poolSize, applicationName: "tasktrail-relay" });
        if (made.isOurs) opened.defer(() => made.pool.end());
        pool = made.pool;
      }
      if (tables === undefined) await migrate(pool);
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
