import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sql } from "slonik";
import { LEDGER } from "../../../projections/lane-deps.ts";
import { replay } from "../../../projections/replay.ts";
import { transactionOnce } from "../../../sql/pool.ts";
import { upsertRows } from "../../../sql/table.ts";
import type { Bench, Figures, StartStep, StepDesk } from "../bench.ts";
import { archive, foldedRows, namespaceOf, openMigrated, projectionOf, sizeOf, timed } from "../history.ts";
import type { LedgerKind } from "../ledger.ts";

const OURS = "Tasktrail";
const BARE = "a bare insert";
/** Events of a full measurement. */
const EVENTS: Readonly<Record<LedgerKind, number>> = { runs: 1_000_000, slots: 400_000 };

/**
 * How fast an emptied table is folded again from its archive, against the ceiling: the same rows, put into the same table in bulk, in one transaction, by the
 * statement that a projector writes with. And how fast an intact one is compared with its history, which writes nothing, so that no insert is its measure.
 */
export const replayed: Bench = {
  name: "replay",
  what: "a million events folded again into an emptied task_runs, and 400,000 into cron_job_runs, against a bare insert of their rows",
  contenders: [OURS, BARE],
  against: BARE,
  needs: "postgres",
  rounds: 2,
  figures: [
    { name: "task_runs rebuilt", unit: "events/s", better: "higher" },
    { name: "cron_job_runs rebuilt", unit: "events/s", better: "higher" },
    { name: "task_runs verified", unit: "events/s", better: "higher" },
    { name: "live memory after a fifth", unit: "MB", better: "lower" },
    { name: "live memory at the end", unit: "MB", better: "lower" },
    { name: "resident at most", unit: "MB", better: "lower" },
  ],
  steps: { fill, rebuild, verify, insertRows },
  play: ({ contender }, start) => (contender === OURS ? playOurs(start) : playBare(start)),
};

async function playOurs(start: StartStep): Promise<Figures> {
  const figures: Record<string, number> = {};
  for (const kind of ["slots", "runs"] as const) {
    await start("fill", { kind }).figures;
    Object.assign(figures, await start("rebuild", { kind }).figures);
  }
  return { ...figures, ...(await start("verify", { kind: "runs" }).figures) };
}

async function playBare(start: StartStep): Promise<Figures> {
  const slots = await start("insertRows", { kind: "slots" }).figures;
  return { ...slots, ...(await start("insertRows", { kind: "runs" }).figures) };
}

function sizeIn({ setting, part }: StepDesk) {
  const kind = part.kind as LedgerKind;
  const size = sizeOf(kind, EVENTS[kind] * setting.scale);
  return { ...size, events: EVENTS[kind] * setting.scale, table: projectionOf[kind].table.name };
}

/** In a process of its own: what it leaves in memory is not a replay's. */
async function fill(desk: StepDesk): Promise<undefined> {
  const pool = await openMigrated(desk.setting.database ?? "");
  await archive(pool, sizeIn(desk));
  await pool.query(sql.unsafe`checkpoint`);
  await pool.end();
}

async function rebuild(desk: StepDesk): Promise<Figures> {
  const { kind, runs, events, table } = sizeIn(desk);
  const pool = await openMigrated(desk.setting.database ?? "");
  const memory = createMemoryGauge(events);
  const seconds = await timed(async () => {
    const { insert } = await replayOf(kind, pool, "apply", memory.at);
    if (insert !== runs) throw new Error(`${insert} rows, and not ${runs}`);
  });
  await pool.end();
  return { [`${table} rebuilt`]: events / seconds, ...(kind === "runs" ? memory.figures() : {}) };
}

const FIFTHS = 5;

/** What is alive after a collection, at every fifth of the way: V8 lets a heap grow that it could keep small, so that what is resident says little. */
function createMemoryGauge(events: number) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const megabytes = (bytes: number) => Math.round(bytes / 1_048_576);
  const live: number[] = [];
  let resident = 0;
  return {
    at(done: number) {
      resident = Math.max(resident, process.memoryUsage.rss());
      if (live.length === FIFTHS || done < (events / FIFTHS) * (live.length + 1)) return;
      collect();
      const { heapUsed, external } = process.memoryUsage();
      live.push(megabytes(heapUsed + external));
    },
    figures: (): Figures => ({
      "live memory after a fifth": live[0] ?? 0,
      "live memory at the end": live.at(-1) ?? 0,
      "resident at most": megabytes(resident),
    }),
  };
}

async function verify(desk: StepDesk): Promise<Figures> {
  const { kind, events, table } = sizeIn(desk);
  const pool = await openMigrated(desk.setting.database ?? "");
  await pool.query(sql.unsafe`vacuum analyze task_runs`);
  const seconds = await timed(async () => {
    const { update } = await replayOf(kind, pool, "count");
    if (update !== 0) throw new Error(`${update} rows differ`);
  });
  await pool.end();
  return { [`${table} verified`]: events / seconds };
}

function replayOf(
  kind: LedgerKind,
  pool: Parameters<typeof archive>[0],
  mode: "apply" | "count",
  onEvents = (_done: number) => {},
) {
  const deps = {
    pool,
    namespace: namespaceOf[kind],
    projection: projectionOf[kind],
    checkpoint: LEDGER,
    parked: new Set<string>(),
  };
  return replay(deps, { mode, onProgress: ({ events }) => onEvents(events) });
}

/** The rows alone, two thousand to a statement. */
async function insertRows(desk: StepDesk): Promise<Figures> {
  const size = sizeIn(desk);
  const pool = await openMigrated(desk.setting.database ?? "");
  const { table } = projectionOf[size.kind];
  const rows = foldedRows(size);
  await pool.query(sql.unsafe`checkpoint`);
  const seconds = await timed(() =>
    transactionOnce(pool, async (session) => {
      for (let at = 0; at < rows.length; at += 2_000)
        await upsertRows(session, { table, namespace: namespaceOf[size.kind] }, rows.slice(at, at + 2_000));
    }),
  );
  await pool.end();
  return { [`${size.table} rebuilt`]: size.events / seconds };
}
