import type { LedgerEvent } from "../streams/events.ts";
import type { CheckedQuery } from "./define/ledger-query.ts";
import type { Engine } from "./engine.ts";

/**
 * The events of a broker's ledger, oldest first: from Postgres, when the broker has one, what is archived, and from Redis the rest. Opens its own
 * connections when the first event is asked for, and closes them when the reading ends, however it does.
 */
export async function* readEvents(engine: Engine, query: CheckedQuery): AsyncGenerator<LedgerEvent, void> {
  if (query.signal?.aborted === true) return;
  // The archive's driver is loaded here, so that importing tasktrail never does.
  const { openLedger } = await import("../projections/open-ledger.ts");
  await using ledger = await openLedger({
    namespace: engine.namespace,
    database: engine.database,
    connect: (purpose) => engine.connect(purpose),
  });
  yield* ledger.read(query);
}
