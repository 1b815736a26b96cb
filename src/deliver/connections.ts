import type { Redis } from "ioredis";
import { disconnect } from "../../streams/connect.ts";
import type { Engine } from "../engine.ts";
import { openLockServers } from "../lock-servers.ts";
import type { Reader } from "./reader.ts";

/** The connections of one worker: one for commands, and one for each lane that it reads. Its beat has one more, in its thread. */
export interface Connections {
  readonly command: Redis;
  readonly readers: readonly Reader[];
  /** Where overlap locks are held: servers of their own, or the one for commands. */
  readonly lockServers: readonly Redis[];
  close(): void;
}

/** How many connections a worker needs, and where its locks are; undefined: where its queues are. */
export interface Wanted {
  readonly laneCount: number;
  readonly lockUrls: readonly string[] | undefined;
}

/** Makes them; they connect when they are used. */
export async function openConnections(engine: Engine, { laneCount, lockUrls }: Wanted): Promise<Connections> {
  const command = await engine.connect("command");
  const readers: Reader[] = [];
  for (let lane = 0; lane < laneCount; lane += 1) {
    readers.push({ redis: await engine.connect("read"), clientId: undefined });
  }
  const lockServers = lockUrls === undefined ? [command] : await openLockServers(engine, lockUrls);
  return {
    command,
    readers,
    lockServers,
    close() {
      for (const redis of new Set([command, ...lockServers])) disconnect(redis);
      for (const { redis } of readers) disconnect(redis);
    },
  };
}
