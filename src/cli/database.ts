import type { DatabasePool } from "slonik";
import type { Environment } from "../config.ts";
import { databaseUrl } from "./servers.ts";

/** Opens Postgres for a command, and closes it when the command is done. `need` says what for, as in "Runs are listed from Postgres". */
export async function withDatabase<T>(
  env: Environment,
  need: string,
  use: (pool: DatabasePool) => Promise<T>,
): Promise<T> {
  const url = databaseUrl(env, need);
  const { openPool } = await import("../../sql/pool.ts");
  const pool = await openPool(url, { size: 2, applicationName: "tasktrail-cli" });
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}
