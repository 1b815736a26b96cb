import type { DatabasePool } from "slonik";
import type { EntryPosition } from "../sql/queries/archive.ts";
import { FIRST_ID, findLiveRuns } from "../sql/queries/repair.ts";
import {
  DEFAULT_PARTITION,
  deleteStrays,
  dropPartition,
  findCheckpointEntries,
  findLanesIn,
  findRetention,
  type Keeps,
  listPartitions,
  type Partition,
  setRetention,
} from "../sql/queries/retention.ts";
import { splitId } from "../streams/ledger.ts";
import { laneName, parseLane } from "./archive.ts";
import type { ProjectorNotice } from "./lane-deps.ts";
import { parsePositions } from "./positions.ts";

const LOOK_EVERY_MS = 3_600_000;

/** Lets the archive go that nobody wants to keep any longer. */
export interface Retention {
  /** Once an hour, whenever it is called. Never rejects. */
  dropOld(nowMs: number): Promise<void>;
}

/** What retention works with, and what the namespace keeps of its archive. */
export interface RetentionDeps extends Keeps {
  readonly pool: DatabasePool;
  readonly namespace: string;
  announce(notice: ProjectorNotice): void;
}

/** Remembers when it has looked. */
export function createRetention(deps: RetentionDeps): Retention {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return {
    async dropOld(nowMs) {
      if (nowMs - lookedAt < LOOK_EVERY_MS) return;
      lookedAt = nowMs;
      try {
        await setRetention(deps.pool, deps.namespace, deps);
        if (deps.keepMs !== undefined || deps.keepBytes !== undefined) await dropDays(deps, nowMs);
      } catch (error) {
        deps.announce({
          kind: "problem",
          what: "old days of the archive could not be dropped; it is tried again",
          error,
        });
      }
    },
  };
}

/** Drops every day that no namespace in it wants to keep. */
async function dropDays({ pool, announce }: RetentionDeps, nowMs: number): Promise<void> {
  const retention = await findRetention(pool);
  const partitions = await listPartitions(pool);
  const froms = new Map([...retention].map(([namespace, keeps]) => [namespace, keepsFrom(keeps, partitions, nowMs)]));
  const until = (lanes: readonly string[]) => keptFrom(lanes, froms);
  let wanted: readonly EntryPosition[] | undefined;
  for (const partition of partitions) {
    if (partition.untilMs > Math.max(...froms.values())) break;
    const lanes = await findLanesIn(pool, partition.name);
    if (partition.untilMs > until(lanes)) continue;
    wanted ??= await findWanted(pool, [...retention.keys()], nowMs);
    const kept = wanted.filter(({ ms }) => ms >= partition.fromMs && ms < partition.untilMs);
    if (await dropPartition(pool, { partition, lanes, kept })) tell(announce, partition, kept.length);
  }
  await dropStrays(pool, { until, wanted: async () => wanted ?? findWanted(pool, [...retention.keys()], nowMs) });
}

function tell(announce: RetentionDeps["announce"], { name, fromMs }: Partition, keptCount: number): void {
  announce({ kind: "archive.dropped", partition: name, day: new Date(fromMs).toISOString().slice(0, 10), keptCount });
}

/** From where on a namespace keeps the archive, in ms: by age, and by what all days from there on take together. Never less than the present day. Pure. */
export function keepsFrom(
  { keepMs = Number.POSITIVE_INFINITY, keepBytes = Number.POSITIVE_INFINITY }: Keeps,
  partitions: readonly Partition[],
  nowMs: number,
): number {
  let bytes = 0;
  const over = partitions.findLast((partition) => {
    bytes += partition.bytes;
    return bytes > keepBytes && partition.untilMs <= nowMs;
  });
  return Math.max(nowMs - keepMs, over?.untilMs ?? Number.NEGATIVE_INFINITY);
}

/** From where on the lanes of a day are to be kept: by the namespace that wants them longest. Pure. */
export function keptFrom(lanes: readonly string[], froms: ReadonlyMap<string, number>): number {
  const all = lanes.map((lane) => froms.get(parseLane(lane).namespace) ?? Number.NEGATIVE_INFINITY);
  return Math.min(...(all.length === 0 ? froms.values() : all));
}

interface Strays {
  until(lanes: readonly string[]): number;
  wanted(): Promise<readonly EntryPosition[]>;
}

/** What lies in the partition for days without one goes lane by lane: also what was kept before, once its runs have ended. */
async function dropStrays(pool: DatabasePool, { until, wanted }: Strays): Promise<void> {
  for (const lane of await findLanesIn(pool, DEFAULT_PARTITION)) {
    const untilMs = until([lane]);
    if (Number.isFinite(untilMs)) await deleteStrays(pool, { lanes: [lane], untilMs, kept: await wanted() });
  }
}

const ROWS_AT_ONCE = 1_000;

/** The archived entries that are needed however old they are: of runs that have not ended, and where checkpoints stand. */
async function findWanted(
  pool: DatabasePool,
  namespaces: readonly string[],
  untilMs: number,
): Promise<readonly EntryPosition[]> {
  const wanted = new Map<string, EntryPosition>();
  const add = (one: EntryPosition) => wanted.set(`${one.lane} ${one.incarnation} ${one.ms}-${one.seq}`, one);
  for (const namespace of namespaces) {
    for (let after = FIRST_ID; ; ) {
      const rows = await findLiveRuns(pool, { namespace, after, limit: ROWS_AT_ONCE });
      for (const { positions } of rows)
        for (const { queue, incarnation, id } of parsePositions(positions).entries) {
          const [ms, seq] = splitId(id);
          add({ lane: laneName(namespace, queue), incarnation, ms, seq });
        }
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_AT_ONCE) break;
      after = last.id;
    }
  }
  (await findCheckpointEntries(pool, untilMs)).forEach(add);
  return [...wanted.values()];
}
