import type { DatabasePool } from "slonik";
import type { LedgerSource } from "../../projections/read-lane.ts";
import { databaseSource } from "../config.ts";
import { withDatabase } from "./database.ts";
import { connectRedis, type OpenRedis } from "./servers.ts";
import type { Terminal } from "./terminal.ts";

/** A ledger that is open for a command. */
export interface CliLedger {
  readonly server: OpenRedis;
  /** When one is named. */
  readonly pool: DatabasePool | undefined;
  readonly source: LedgerSource;
}

/** Opens the ledger of the namespace for a command: Redis, and Postgres when one is named. Both end with the command. Throws CliError. */
export async function withLedger<T>(terminal: Terminal, use: (opened: CliLedger) => Promise<T>): Promise<T> {
  using server = await connectRedis(terminal.env);
  const { redis, namespace } = server;
  const open = (pool?: DatabasePool) => use({ server, pool, source: { namespace, redis, pool } });
  if (typeof databaseSource({}, terminal.env) !== "string") return await open();
  return await withDatabase(terminal.env, "", open);
}
