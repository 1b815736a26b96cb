import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { sql } from "slonik";
import { createBroker } from "tasktrail";
import { LEDGER } from "../../../projections/lane-deps.ts";
import { transactionOnce } from "../../../sql/pool.ts";
import { insertEntries } from "../../../sql/queries/archive.ts";
import { findCheckpoint } from "../../../sql/queries/checkpoints.ts";
import { upsertRows } from "../../../sql/table.ts";
import { createProjector } from "../../../src/projector.ts";
import { laneKeys } from "../../../streams/keys.ts";
import type { Bench, Figures, Setting, StepDesk } from "../bench.ts";
import { NAMESPACE, quiet } from "../contenders/tasktrail.ts";
import { archivedEntries, foldedRows, openMigrated, projectionOf, sizeOf, timed } from "../history.ts";
import { makeLedger } from "../ledger.ts";

const OURS = "Tasktrail";
const BARE = "a bare insert";
const LIVE_EVENTS = 300_000;

/** How fast a table and the archive are kept, against the same machine's ceiling: the same rows and entries, inserted in bulk by the same statements, each row once. */
export const project: Bench = {
  name: "project",
  what: "events projected live: archived and folded into task_runs, against a bare insert of the same entries and rows",
  contenders: [OURS, BARE],
  against: BARE,
  needs: "postgres",
  figures: [{ name: "projected", unit: "events/s", better: "higher" }],
  steps: { projectLive, insertBare },
  play: ({ contender }, start) => start(contender === OURS ? "projectLive" : "insertBare").figures,
};

function sizeIn({ scale }: Setting) {
  return { ...sizeOf("runs", LIVE_EVENTS * scale), events: LIVE_EVENTS * scale };
}

/** Records a ledger, and has a projector take it in. */
async function projectLive({ setting }: StepDesk): Promise<Figures> {
  const { database = "" } = setting;
  const { runs, events } = sizeIn(setting);
  const redis = new Redis(setting.redis, { protocol: 2 });
  const keys = laneKeys(NAMESPACE, "default");
  let end: string | null = null;
  for (const { header, count, events: texts } of makeLedger(runs))
    end = await redis.xadd(keys.events, "*", "h", header, "n", count, "events", texts);
  const pool = await openMigrated(database);
  const broker = createBroker({ redis: setting.redis, database, namespace: NAMESPACE, logger: quiet });
  broker.task({ name: "noop", run() {} });
  const projector = createProjector(broker);
  let running: Promise<void> | undefined;
  const seconds = await timed(async () => {
    running = projector.run();
    for (;;) {
      const at = await findCheckpoint(pool, `${NAMESPACE}:default`, LEDGER);
      if (at !== undefined && `${at.ms}-${at.seq}` === end) return;
      await delay(10);
    }
  });
  await projector.stop();
  await running;
  await Promise.all([pool.end(), broker.close(), redis.quit()]);
  return { projected: events / seconds };
}

/** Entries and rows, a batch of both in a transaction, as the projector's are. */
async function insertBare({ setting }: StepDesk): Promise<Figures> {
  const size = sizeIn(setting);
  const pool = await openMigrated(setting.database ?? "");
  const entries = [...archivedEntries(size)];
  const rows = foldedRows(size);
  const { table } = projectionOf.runs;
  await pool.query(sql.unsafe`checkpoint`);
  const batches = Math.max(1, Math.ceil(entries.length / 60)); // about two megabytes of ledger each, as the projector takes
  const part = <T>(all: readonly T[], n: number) =>
    all.slice(Math.floor((all.length * n) / batches), Math.floor((all.length * (n + 1)) / batches));
  const seconds = await timed(async () => {
    for (let n = 0; n < batches; n += 1)
      await transactionOnce(pool, async (session) => {
        await insertEntries(session, part(entries, n));
        await upsertRows(session, { table, namespace: NAMESPACE }, part(rows, n));
      });
  });
  await pool.end();
  return { projected: size.events / seconds };
}
