import type { DatabasePool } from "slonik";
import { MigrationError, migrate } from "../sql/migrate.ts";
import { type DatabaseSource, DatabaseUnreachable, poolFrom } from "../sql/pool.ts";
import { pause } from "../streams/lane.ts";
import { backoffMs } from "./lane.ts";
import type { ProjectorNotice } from "./lane-deps.ts";
import { connected, type Redis } from "./read.ts";
import type { ProjectorSettings } from "./settings.ts";

/** What a projector's servers are opened with. */
export interface OpenDeps {
  readonly database: DatabaseSource;
  connect(purpose: "project"): Promise<Redis>;
  announce(notice: ProjectorNotice): void;
  /** Called once the tables are there. */
  onTables?: (() => void) | undefined;
  readonly settings: ProjectorSettings;
}

/** Postgres with its schema, and Redis for commands. */
export interface Servers {
  readonly pool: DatabasePool;
  readonly redis: Redis;
}

/**
 * Opens both servers and brings the schema up to date; what is opened is closed with `opened`. What is away is waited for: undefined when it was
 * aborted meanwhile. Throws what will not pass by itself: a URL that cannot be read, a schema that does not fit.
 */
export async function open(
  deps: OpenDeps,
  signal: AbortSignal,
  opened: AsyncDisposableStack,
): Promise<Servers | undefined> {
  const redis = opened.adopt(await deps.connect("project"), async (one) => one.disconnect(false));
  redis.setMaxListeners(0); // every lane listens while it waits for an answer
  let pool: DatabasePool | undefined;
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      pool ??= await openPool(deps, opened);
      await migrate(pool);
      deps.onTables?.();
      await connected(redis, signal);
      return { pool, redis };
    } catch (error) {
      if (!passes(error)) throw error;
      if (failures === 1 || failures % 10 === 0)
        deps.announce({
          kind: "problem",
          what: "the projector cannot start yet; it will be tried again",
          error,
          facts: { failures },
        });
      await pause(backoffMs(failures, deps.settings), signal);
    }
  }
  return undefined;
}

async function openPool({ database, settings }: OpenDeps, opened: AsyncDisposableStack): Promise<DatabasePool> {
  const { pool, isOurs } = await poolFrom(database, {
    size: settings.poolSize,
    applicationName: "tasktrail-projector",
  });
  if (isOurs) opened.defer(() => pool.end());
  return pool;
}

function passes(error: unknown): boolean {
  if (error instanceof MigrationError) return false;
  return !(error instanceof DatabaseUnreachable && error.cause instanceof TypeError);
}
