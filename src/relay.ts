import type { Broker } from "./define/broker.ts";
import type { Role } from "./define/role.ts";
import { engineOf } from "./engine.ts";
import { invalidOption } from "./errors.ts";
import { makeRole } from "./roles.ts";

/** A relay that has not looked at the outbox for so long is not ready, in ms. */
const STALE_MS = 10_000;

/**
 * Makes a relay: it takes what committed transactions have left in the outbox to Redis, in order, each once, however many relays run.
 * Every projector runs one; this is for who wants more of them, or wants them elsewhere. It makes the tables itself when it starts, and
 * waits for Redis and Postgres when they are away. It also turns the events of topics into runs, as `broker.on` has declared.
 * Opens nothing before `run`. Throws InvalidOption when there is neither a Postgres nor a subscription.
 */
export function createRelay(broker: Broker): Role {
  const engine = engineOf(broker);
  if (engine.database === undefined && engine.subscriptions.length === 0) {
    throw invalidOption(
      "database",
      'there is nothing to relay: the outbox is in Postgres, and none is named (set DATABASE_URL, or pass createBroker({ database: "postgres://…" })), and nothing subscribes to a topic',
    );
  }
  let isLive = false;
  let lookedAt: number | undefined;

  const run = async (signal: AbortSignal) => {
    isLive = true;
    try {
      // Postgres' driver is loaded here, so that importing tasktrail never does.
      const { relay } = await import("./relay/assemble.ts");
      engine.announce({ kind: "role.ready", role: "relay", facts: { namespace: engine.namespace } });
      const onLook = () => {
        lookedAt = performance.now();
      };
      await relay({ engine, onLook }, signal);
    } finally {
      isLive = false;
      engine.announce({ kind: "role.stopped", role: "relay" });
    }
  };
  const health = () => {
    const lastReadAgeMs = lookedAt === undefined ? 0 : Math.round(performance.now() - lookedAt);
    return { isLive, isReady: isLive && lookedAt !== undefined && lastReadAgeMs < STALE_MS, lastReadAgeMs };
  };
  return makeRole({ run, health });
}
