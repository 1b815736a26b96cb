import type { Redis } from "ioredis";
import type { Engine } from "../engine.ts";

/** How long commands that nobody awaited are waited for at the end, in ms. */
const FAREWELL_MS = 1_000;

/** A connection for users, and how to close it. */
export interface UserRedis {
  readonly client: Redis;
  close(): Promise<void>;
}

/** Opens a command connection that behaves as ioredis does by itself: the engine's own give no second try to anything. It connects with its first command. */
export async function openUserRedis(engine: Engine): Promise<UserRedis> {
  const client = await engine.connect("user");
  // ioredis reads these whenever it needs them. The values are its own defaults.
  Object.assign(client.options, {
    enableOfflineQueue: true,
    autoResendUnfulfilledCommands: true,
    maxRetriesPerRequest: 20,
  });
  return { client, close: () => close(client) };
}

async function close(client: Redis): Promise<void> {
  if (client.status === "ready") {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MS);
    });
    await Promise.race([client.quit().catch(() => {}), late]);
    clearTimeout(timer);
  }
  client.disconnect();
}
