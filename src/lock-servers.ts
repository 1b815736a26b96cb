import type { Redis } from "ioredis";
import { openRedis } from "../streams/connect.ts";
import type { Engine } from "./engine.ts";

/** Opens connections to servers that hold nothing but locks; they connect when they are used. The caller closes them. */
export function openLockServers(engine: Engine, urls: readonly string[]): Promise<Redis[]> {
  return Promise.all(urls.map((url) => openLockServer(engine, url)));
}

/** A connection whose troubles are told of once, when they begin and when they are over. */
async function openLockServer({ announce }: Engine, url: string): Promise<Redis> {
  let isAway = false;
  const client = await openRedis(url, "lock", (error) => {
    if (!isAway) announce({ kind: "redis.away", role: "lock", error });
    isAway = true;
  });
  client.on("ready", () => {
    if (isAway) announce({ kind: "redis.back", role: "lock" });
    isAway = false;
  });
  return client;
}
