// `npm start`: a private Redis and a private Postgres, until Ctrl-C.
import { once } from "node:events";
import { openServers } from "./servers.ts";

await using servers = await openServers();
console.log(`Redis:    ${servers.redis.url}\nPostgres: ${servers.postgres.url}`);
const busy = setInterval(() => {}, 60_000);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
clearInterval(busy);
