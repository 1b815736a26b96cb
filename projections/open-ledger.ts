import { type DatabaseSource, poolFrom } from "../sql/pool.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { isLedgerEvent } from "../streams/ledger.ts";
import { connected, type Redis } from "./read.ts";
import { type LedgerQuery, readLedger } from "./read-ledger.ts";

/** Where a ledger is. */
export interface LedgerPlaces {
  readonly namespace: string;
  /** Without one, the tail alone is read. */
  readonly database: DatabaseSource | undefined;
  connect(purpose: "read" | "follow"): Promise<Redis>;
}

/** A ledger to read from; what was opened for it ends with it. */
export interface OpenLedger extends AsyncDisposable {
  /** The events that this version knows, oldest first. */
  read(query: Omit<LedgerQuery, "blocking">): AsyncGenerator<LedgerEvent, void>;
}

/** Opens a ledger. Throws when Redis, or a Postgres that is named, cannot be reached. */
export async function openLedger({ namespace, database, connect }: LedgerPlaces): Promise<OpenLedger> {
  await using opening = new AsyncDisposableStack();
  const open = async (purpose: "read" | "follow") => {
    const redis = opening.adopt(await connect(purpose), (one) => one.disconnect(false));
    redis.setMaxListeners(0);
    return redis;
  };
  const redis = await open("read");
  await connected(redis, new AbortController().signal);
  const { pool, isOurs } =
    database === undefined ? { pool: undefined, isOurs: false } : await poolFrom(database, { size: 2 });
  if (isOurs) opening.defer(() => pool?.end());
  const opened = opening.move();
  return {
    async *read(query) {
      const blocking =
        query.follow === true ? opened.adopt(await connect("follow"), (one) => one.disconnect(false)) : undefined;
      if (blocking !== undefined) await connected(blocking, query.signal ?? new AbortController().signal);
      for await (const event of readLedger({ namespace, redis, pool }, { ...query, blocking }))
        if (isLedgerEvent(event)) yield event;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
