import type { Projector } from "../projections/project.ts";
import type { Broker } from "./define/broker.ts";
import type { ProjectorOptions, Role } from "./define/role.ts";
import { type Engine, engineOf } from "./engine.ts";
import { invalidOption } from "./errors.ts";
import { projectorSettings } from "./projector-settings.ts";
import { makeRole, runRoles } from "./roles.ts";

/**
 * Makes a projector: it keeps the ledger's archive and the tables `task_runs` and `cron_job_runs` in Postgres, each event exactly once,
 * however many projectors run; and it takes what transactions have left in the outbox to Redis, as a relay does. It makes the tables itself
 * when it starts, and waits for Redis and Postgres when they are away.
 * Opens nothing before `run`. Throws InvalidOption when no Postgres is named.
 */
export function createProjector(broker: Broker, options: ProjectorOptions = {}): Role {
  const { batch, keepTailMs, keepTailBytes, ...rest } = projectorSettings(options);
  const engine = engineOf(broker);
  const database = databaseOf(engine);
  let projector: Projector | undefined;
  let isLive = false;

  const run = async (signal: AbortSignal) => {
    isLive = true;
    // Postgres' driver is loaded here, so that importing tasktrail never does.
    const [{ createProjection }, { relay }] = await Promise.all([
      import("../projections/project.ts"),
      import("./relay/assemble.ts"),
    ]);
    const tables = Promise.withResolvers<void>();
    projector = createProjection({
      namespace: engine.namespace,
      database,
      connect: (purpose) => engine.connect(purpose),
      queues: () => engine.queues(),
      announce: (notice) => engine.announce(notice),
      onTables: tables.resolve,
      settings: { ...rest, batchEntries: batch, keepMs: keepTailMs, keepBytes: keepTailBytes },
      own: engine.projections,
    });
    engine.announce({ kind: "role.ready", role: "projector", facts: { namespace: engine.namespace } });
    try {
      const { health } = projector;
      const relaying = (until: AbortSignal) => relay({ engine, tables: tables.promise, onLook() {} }, until);
      await runRoles([makeRole({ run: projector.run, health }), makeRole({ run: relaying, health })], signal);
    } finally {
      engine.announce({ kind: "role.stopped", role: "projector" });
    }
  };
  return makeRole({ run, health: () => projector?.health() ?? { isLive, isReady: false, lastReadAgeMs: 0 } });
}

function databaseOf({ database }: Engine): string | (() => unknown) {
  if (database !== undefined) return database;
  throw invalidOption(
    "database",
    'the projector keeps its tables in Postgres, and none is named: set DATABASE_URL, as in DATABASE_URL=postgres://localhost:5432/app, or pass createBroker({ database: "postgres://…" })',
  );
}
