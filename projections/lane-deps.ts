import type { DatabasePool } from "slonik";
import type { AnyProjection } from "./projection.ts";
import type { Redis } from "./read.ts";
import type { ProjectorSettings } from "./settings.ts";

/** The checkpoint that archive and tables share: they move together. */
export const LEDGER = "ledger";

/** How the incarnation of an imported life begins. No projector goes on with one. */
export const IMPORTED = "imported:";

/** What the projector tells of its work. */
export type ProjectorNotice =
  | {
      /** A view shows the rows of a new version from now on. */
      readonly kind: "projection.switched";
      readonly projection: string;
      readonly version: number;
    }
  | {
      readonly kind: "batch.projected";
      readonly queue: string;
      readonly events: number;
      readonly rows: number;
      readonly tookMs: number;
      readonly lagMs: number;
    }
  | {
      readonly kind: "lane.repaired";
      readonly queue: string;
      readonly restoredCount: number;
      readonly withdrawnCount: number;
      readonly lostCount: number;
    }
  | {
      readonly kind: "archive.dropped";
      readonly partition: string;
      readonly day: string;
      readonly keptCount: number;
    }
  | {
      readonly kind: "problem";
      readonly what: string;
      readonly error?: unknown;
      readonly facts?: Readonly<Record<string, unknown>>;
    };

/** `following`: up to date or on its way. `standby`: another projector has the lane. `failing`: something is away, and it is tried again. */
export type LaneState = "starting" | "following" | "standby" | "failing" | "stopped";

/** What a lane is projected with. */
export interface LaneDeps {
  readonly namespace: string;
  readonly queue: string;
  readonly projections: readonly AnyProjection[];
  readonly pool: DatabasePool;
  /** For commands. */
  readonly redis: Redis;
  /** This lane's own, for blocking reads. */
  readonly blocking: Redis;
  readonly settings: ProjectorSettings;
  announce(notice: ProjectorNotice): void;
  /** Told at each change, and with each successful read. */
  tell(state: LaneState): void;
  /** Makes the archive's partitions for the days of a batch, when they are not there yet. Never rejects. */
  prepareDays(fromMs: number, untilMs: number): Promise<void>;
}
