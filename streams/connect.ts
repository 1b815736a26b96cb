import type { Redis, RedisOptions } from "ioredis";

/** Where Redis is: a URL, or a function that makes an ioredis client, called once per connection. */
export type RedisSource = string | (() => unknown);

/** What a connection is for; its name in `CLIENT LIST`. A blocking reader never shares one. */
export type Purpose = "dispatch" | "command" | "read" | "follow" | "beat" | "lock" | "project" | "user" | "tool";

/**
 * Options that every connection of ours needs. Writes are never resent by the driver and never wait in its queue:
 * our own calls carry a call number and a deadline, so that a repeat is recognised and nothing lands after its error.
 */
const OURS = {
  protocol: 2,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  // What was on its way when a connection closed fails at once. With `null` and no resending, ioredis would leave it hanging for ever.
  maxRetriesPerRequest: 0,
  connectTimeout: 5_000,
  keepAlive: 10_000,
  lazyConnect: true,
} as const satisfies RedisOptions;

/** Waits between attempts to connect: 50 ms doubling to 2 s, the upper half of each at random. */
export function reconnectDelayMs(attempt: number, random: () => number = Math.random): number {
  const whole = Math.min(50 * 2 ** Math.min(attempt - 1, 10), 2_000);
  return Math.round(whole / 2 + (whole / 2) * random());
}

/**
 * Makes a client that is not connected yet. ioredis is loaded by the first call. `onError` hears every connection error; there is always
 * a listener, so none is fatal. Throws when a client that was handed in would write other keys than ours, or answer in other shapes.
 */
export async function openRedis(
  source: RedisSource,
  purpose: Purpose,
  onError: (error: Error) => void = () => {},
): Promise<Redis> {
  const client = typeof source === "string" ? await fromUrl(source, purpose) : (source() as Redis);
  if (typeof source !== "string") adopt(client);
  client.setMaxListeners(0); // of calls that wait for the connection there may be many
  client.on("error", (error: Error) => onError(discreet(error)));
  watchHandshake(client);
  return client;
}

/** Makes a user's client behave as ours do. */
function adopt(client: Redis): void {
  const { keyPrefix, replyMapping } = client.options as { keyPrefix?: string; replyMapping?: string };
  if (keyPrefix)
    throw new Error(
      `the Redis client has the keyPrefix "${keyPrefix}", which scripts do not see: set a namespace instead`,
    );
  if (replyMapping === "resp3")
    throw new Error(
      'the Redis client has the replyMapping "resp3", and answers are read in the shapes of RESP2: leave it out',
    );
  Object.assign(client.options, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  });
}

/** How long a connection may take from being open to being ready, in ms. */
const HANDSHAKE_MS = 5_000;

/** The driver waits without end for the answers of its first commands. A link that falls silent just then is closed, so that it tries anew. */
function watchHandshake(client: Redis): void {
  let timer: NodeJS.Timeout | undefined;
  client.on("connect", () => {
    clearTimeout(timer);
    timer = setTimeout(() => replaceLink(client), HANDSHAKE_MS).unref();
  });
  for (const over of ["ready", "close", "end"]) client.on(over, () => clearTimeout(timer));
}

/** The options of a connection of ours: plain values, so that they can be handed to a thread. */
export function connectionOptions(purpose: Purpose) {
  return { ...OURS, connectionName: `tasktrail-${purpose}` } as const;
}

async function fromUrl(url: string, purpose: Purpose): Promise<Redis> {
  const { Redis } = await import("ioredis");
  return new Redis(url, {
    ...connectionOptions(purpose),
    retryStrategy: (attempt) => reconnectDelayMs(attempt),
    // What was a primary is a replica now: the name may lead to its successor.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  });
}

/** Resolves true once the client can take commands; false when that has not come about in time, or the signal was aborted. Never rejects. */
export async function ready(client: Redis, waitMs: number, signal?: AbortSignal): Promise<boolean> {
  if (client.status === "ready") return true;
  if (signal?.aborted === true) return false;
  if (client.status === "wait" || client.status === "end") client.connect().catch(() => {});
  return new Promise((resolve) => {
    const done = (isReady: boolean) => {
      clearTimeout(timer);
      client.off("ready", onReady);
      signal?.removeEventListener("abort", onAbort);
      resolve(isReady);
    };
    const onReady = () => done(true);
    const onAbort = () => done(false);
    const timer = setTimeout(done, waitMs, false);
    client.once("ready", onReady);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** How many causes of an error are looked through. */
const MOST_CAUSES = 8;

/**
 * Hides from whoever writes an error down what the driver hangs on it: the command with its arguments, among which are the
 * password of a refused login and the inputs of runs. Gives back the same error.
 */
export function discreet<T>(error: T): T {
  let one: unknown = error;
  for (let depth = 0; one instanceof Error && depth < MOST_CAUSES; depth += 1) {
    if (Object.hasOwn(one, "command")) Object.defineProperty(one, "command", { enumerable: false });
    one = one.cause;
  }
  return error;
}

/** How Redis, or the way to it, said no. */
export type Refusal = "away" | "full" | "denied" | "no_group" | "wrong_type" | "other";

const AWAY =
  /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|UNBLOCKED|NOREPLICAS)|Connection is closed|Stream isn't writeable|Command timed out|Socket closed|Socket timeout|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|max retries|MaxRetries|max number of clients|network socket disconnected/;
const DENIED = /^(NOAUTH|WRONGPASS|NOPERM)|user executing the script can't/;

/** What kind of refusal an error is. `away` and `full` pass by themselves. */
export function refusal(error: unknown): Refusal {
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes("NOGROUP") || text.includes("no longer exists")) return "no_group";
  if (/(^|: )OOM |^MISCONF|-OOM/.test(text)) return "full";
  if (DENIED.test(text)) return "denied";
  if (text.includes("WRONGTYPE")) return "wrong_type";
  return AWAY.test(text) ? "away" : "other";
}

/**
 * Closes a link that has fallen silent, at once and however often it is asked to: who does not answer would not say goodbye either,
 * and the driver waits two seconds for that. It makes a new one.
 */
export function replaceLink(client: Redis): void {
  if (client.stream === undefined) client.disconnect(true);
  else client.stream.destroy();
}

/** Ends a connection without waiting for what is in flight. */
export function disconnect(client: Redis): void {
  client.disconnect(false);
}
