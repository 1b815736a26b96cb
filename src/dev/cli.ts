// `npm run tasktrail -- …`: the command line from source. While `npm start` runs here, its servers are the ones it speaks to, unless others are named.
import { devDataFolder } from "./dev-data.ts";
import { toldEndpoints } from "./endpoints.ts";

const told = toldEndpoints(devDataFolder());
if (told !== undefined) {
  process.env.REDIS_URL ||= told.redis;
  process.env.DATABASE_URL ||= told.postgres;
}
await import("../cli/main.ts");
