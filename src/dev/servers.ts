import { startPostgres } from "./start-postgres.ts";
import { startRedis } from "./start-redis.ts";

/** A server to use: ours, or the one that REDIS_URL or DATABASE_URL names. */
export type Endpoint = { readonly url: string };

/** The two servers the project needs. `await using` stops those that are ours. */
export type Servers = AsyncDisposable & { readonly redis: Endpoint; readonly postgres: Endpoint };

/** Starts both. */
export async function openServers(): Promise<Servers> {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  return {
    redis,
    postgres,
    async [Symbol.asyncDispose]() {
      await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
    },
  };
}
