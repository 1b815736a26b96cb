import type { Redis } from "ioredis";
import { reconnectDelayMs } from "../../streams/connect.ts";

/** A connection that holds no process alive: only what is in flight on it does. */
export interface Connection {
  /** The one client of this connection, made at first use. Not connected by this. */
  client(): Promise<Redis>;
  /** To be called when something is put in flight, and answered by one `release`. */
  hold(): void;
  release(): void;
  /** Why there is no connection, as far as that is known; undefined while there is one. */
  trouble(): Error | undefined;
  /** Resolves once nothing is in flight. */
  settled(): Promise<void>;
  /** Ends the connection. One that is used again is opened again. */
  close(): void;
}

/** What a connection is made of. */
export interface ConnectionParts {
  /** Makes the client; not connected yet. */
  readonly open: () => Promise<Redis>;
  /** Closed after so long without use, in ms. */
  readonly idleMs: number;
}

/**
 * A connection whose socket is unref'ed while nothing is in flight, which does not reconnect then, and which is closed
 * after a while without use: a script that only dispatches ends by itself, Redis up or gone, and a module that is
 * loaded again and again leaks no connection for long.
 */
export function createConnection({ open, idleMs }: ConnectionParts): Connection {
  let opening: Promise<Redis> | undefined;
  let client: Redis | undefined;
  let inFlight = 0;
  let attempts = 0;
  let trouble: Error | undefined;
  const idlers: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined; // until the next attempt to connect, or until the idle connection is closed

  const prepare = (made: Redis) => {
    client = made;
    // ioredis' own timer for reconnecting keeps the process alive; ours is cleared when nothing is in flight any more.
    made.options.retryStrategy = () => null;
    made.setMaxListeners(0); // each call that waits for the connection listens
    made.on("error", (error: Error) => {
      trouble = error;
    });
    made.on("ready", () => {
      attempts = 0;
      trouble = undefined;
      if (inFlight === 0) made.stream?.unref();
    });
    made.on("end", () => {
      if (inFlight === 0) return;
      clearTimeout(timer);
      timer = setTimeout(reconnect, reconnectDelayMs(++attempts), made);
    });
    return made;
  };
  const end = () => {
    clearTimeout(timer);
    if (client === undefined || client.status === "end" || client.status === "wait") return;
    client.disconnect();
    client.stream?.destroy(); // one that is still connecting would hold the process for seconds
  };

  return {
    client() {
      opening ??= open().then(prepare, (error: unknown) => {
        opening = undefined; // what is missing, such as a variable, may be there the next time
        throw error;
      });
      return opening;
    },
    hold() {
      inFlight += 1;
      if (inFlight > 1) return;
      clearTimeout(timer);
      client?.stream?.ref();
    },
    release() {
      inFlight -= 1;
      if (inFlight > 0) return;
      for (const resolve of idlers.splice(0)) resolve();
      clearTimeout(timer);
      if (client?.status !== "ready" || hasUnanswered(client)) return end();
      client.stream?.unref();
      timer = setTimeout(end, idleMs);
      timer.unref();
    },
    trouble: () => trouble,
    settled: () => (inFlight === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
    close: end,
  };
}

/** True when whoever asked has given up on the answer: the connection is dead, and a timer that waits for it would hold the process. */
function hasUnanswered(client: Redis): boolean {
  const { commandQueue } = client as unknown as { readonly commandQueue?: { readonly length: number } };
  return commandQueue !== undefined && commandQueue.length > 0;
}

function reconnect(client: Redis): void {
  if (client.status === "end") client.connect().catch(() => {}); // the next "end" tells of it
}
