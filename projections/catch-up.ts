import type { DatabasePool } from "slonik";
import { type Checkpoint, findCheckpointsOf } from "../sql/queries/checkpoints.ts";
import type { Scope, Verdict } from "../sql/queries/differences.ts";
import type { ShadowPosition } from "../sql/queries/shadow.ts";
import type { Session } from "../sql/statement.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { parseLane } from "./archive.ts";
import type { Refusal } from "./batch.ts";
import type { Difference } from "./explain.ts";
import { foldLane } from "./fold-lane.ts";
import type { ChangedRows } from "./pending-rows.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";

/** What is to be replayed, and how. */
export interface ReplayOptions extends Scope {
  /** "apply": the differences go into the table. "verify": they are listed. "count": they are counted. "keep": the fold itself is kept, under `into`. */
  readonly mode: "apply" | "verify" | "count" | "keep";
  /** Folds what was recorded up to this instant, in ms. For "keep". */
  readonly untilMs?: number | undefined;
  readonly into?: string | undefined;
  /** Differences that are listed, at most. Default 50. */
  readonly most?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  onProgress?(progress: ReplayProgress): void;
}

/** How far a replay is. */
export interface ReplayProgress {
  readonly step: "folding" | "comparing" | "catching up" | "applying";
  /** Events folded, those of an earlier try that is gone on with included. */
  readonly events: number;
  /** Events there are to fold, about. */
  readonly total: number;
  /** Of those, how many an earlier try had folded. */
  readonly resumed: number;
}

/** What came of a replay. */
export interface Replayed extends Verdict {
  readonly events: number;
  readonly resumed: number;
  /** The first differences, when they were to be listed. */
  readonly differences: readonly Difference[];
  /** Keys that the fold could still not take: they are parked, and their rows stand where they stood. */
  readonly parked: number;
}

/** What a replay works with. */
export interface ReplayDeps {
  /** Without limits on statements and idle transactions; three sessions or more. */
  readonly pool: DatabasePool;
  readonly namespace: string;
  readonly projection: AnyProjection;
  /** The name of its checkpoints. */
  readonly checkpoint: string;
  /** Its keys that are parked. */
  readonly parked: ReadonlySet<string>;
  /** Rows that are written at once, about. Default 20,000. */
  readonly pendingRows?: number | undefined;
}

/** The rebuild met an event that the fold cannot take. */
export class RebuildStopped extends Error {
  readonly code = "rebuild_stopped";
  constructor({ projection, key, event, error }: Refusal) {
    super(
      `The rebuild of ${projection} stopped at ${event.type} (${event.position ?? "no position"}), which the fold cannot take: ${error instanceof Error ? error.message : String(error)}. Key: ${key}. The table is as it was.`,
      { cause: error },
    );
    this.name = "RebuildStopped";
  }
}

/** Where a replay keeps what it folds. */
export interface Keeping {
  /** Reads the checkpoints. */
  readonly session: Session;
  /** Reads the archive. */
  readonly archive: Session;
  /** How far each lane is folded. */
  positions(): Promise<readonly ShadowPosition[]>;
  /** The rows that some keys of a queue have, by key. */
  load(queue: string, keys: readonly string[]): Promise<ReadonlyMap<string, AnyRow>>;
  /** Keeps rows, and how far their lane is folded with them. */
  write(rows: ChangedRows, to: ShadowPosition): Promise<void>;
}

/** A replay on its way. */
export interface ReplayRun {
  /** Keys that are left out. */
  readonly left: ReadonlySet<string>;
  /** Folds everything up to where the table is now. Gives how many events that were. `isLocked`: nobody else moves the table's checkpoints from then on. */
  catchUp(keeping: Keeping, step: ReplayProgress["step"], isLocked?: boolean): Promise<number>;
  /** Catches up until hardly anything is left. Gives how many events that were. */
  catchUpSoon(keeping: Keeping): Promise<number>;
  tell(step: ReplayProgress["step"]): void;
}

/** A fold of what is behind is worth another round; the rest is folded while the projector waits. */
const SHORT_EVENTS = 2_000;
const MOST_ROUNDS = 20;

/** Begins a replay, of which an earlier try has folded some events. */
export function createRun(deps: ReplayDeps, options: ReplayOptions, resumed: number): ReplayRun {
  const left = new Set<string>();
  const { fromMs, untilMs } = options;
  let [done, total] = [resumed, 0];
  const tell = (step: ReplayProgress["step"]) => options.onProgress?.({ step, events: done, total, resumed });
  const common = {
    projection: deps.projection,
    pendingRows: deps.pendingRows,
    signal: options.signal ?? new AbortController().signal,
    accepts: acceptor(options),
    onRefusal(refusal: Refusal): true {
      if (!deps.parked.has(refusal.key)) throw new RebuildStopped(refusal);
      left.add(refusal.key);
      return true;
    },
  };
  const catchUp: ReplayRun["catchUp"] = async (keeping, step, isLocked = false) => {
    const checkpoints = await findCheckpointsOf(keeping.session, deps, isLocked);
    total = checkpoints.reduce((sum, { eventsApplied }) => sum + eventsApplied, 0);
    const positions = new Map((await keeping.positions()).map((one) => [one.lane, one]));
    let events = 0;
    for (const until of checkpoints.filter((one) => isWantedLane(one, options))) {
      const { lane } = until;
      const after = positions.get(lane);
      let sum = after?.events ?? 0;
      const fold = {
        ...common,
        archive: keeping.archive,
        keyCount: after === undefined ? until.eventsApplied : undefined,
        load: (keys: readonly string[]) => keeping.load(parseLane(lane).queue, keys),
        write(rows: ChangedRows, at: Omit<ShadowPosition, "lane" | "events">, some: number) {
          sum += some;
          return keeping.write(rows, { lane, ...at, events: sum });
        },
        onProgress(some: number) {
          done += some;
          tell(step);
        },
      };
      events += await foldLane(fold, { lane, after, until, fromMs, untilMs });
    }
    return events;
  };
  return {
    left,
    tell,
    catchUp,
    async catchUpSoon(keeping) {
      let events = 0;
      for (let round = 0; round < MOST_ROUNDS; round += 1) {
        const news = await catchUp(keeping, "folding");
        events += news;
        if (news < SHORT_EVENTS || untilMs !== undefined) break;
      }
      return events;
    },
  };
}

/** Which events a replay is of. Those that name no task are of any. */
function acceptor({ tasks }: Scope): (event: LedgerEvent) => boolean {
  const wanted = tasks && new Set(tasks);
  return (event) => {
    const { task } = event as { readonly task?: string };
    return wanted === undefined || task === undefined || wanted.has(task);
  };
}

function isWantedLane({ lane, ms }: Checkpoint, { queues }: Scope): boolean {
  return ms > 0 && (queues === undefined || queues.includes(parseLane(lane).queue));
}
