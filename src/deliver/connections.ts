import type { Redis } from "ioredis";
import { disconnect } from "../../streams/connect.ts";
import type { Engine } from "../engine.ts";
import type { Reader } from "./reader.ts";

/** The connections of one worker: one for commands, and one for each lane that it reads. Its beat has one more, in its thread. */
export interface Connections {
  readonly command: Redis;
  readonly readers: readonly Reader[];
  close(): void;
}

/** Makes them; they connect when they are used. */
export async function openConnections(engine: Engine, laneCount: number): Promise<Connections> {
  const command = await engine.connect("command");
  const readers: Reader[] = [];
  for (let lane = 0; lane < laneCount; lane += 1) {
    readers.push({ redis: await engine.connect("read"), clientId: undefined });
  }
  return {
    command,
    readers,
    close() {
      disconnect(command);
      for (const { redis } of readers) disconnect(redis);
    },
  };
}
