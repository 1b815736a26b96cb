/** How the projector works. All times in ms. */
export interface ProjectorSettings {
  /** Ledger entries in one transaction, at most. */
  readonly batchEntries: number;
  /** Bytes of ledger in one transaction, about. */
  readonly batchBytes: number;
  /** Rows kept in memory per table and lane: those of runs in flight need not be read again for each event. */
  readonly cachedRows: number;
  /** What to do when a lane's ledger is not the one that is archived: "continue" repairs it, "pause" stops the lane until somebody looks. */
  readonly onRegression: "continue" | "pause";
  /** How long archived entries stay in Redis. */
  readonly keepMs: number;
  /** How many bytes of archived entries stay in a lane's tail, about; 0: any. */
  readonly keepBytes: number;
  /** How many bytes a lane's tail may have in all, about, archived or not; 0: any. */
  readonly maxTail: number;
  /** What gives past them: dispatches, or the oldest entries of the ledger. */
  readonly whenFull: "refuse" | "gap";
  /** How long the namespace keeps its archive; undefined: for ever. */
  readonly keepArchiveMs: number | undefined;
  /** Within how many bytes the namespace keeps its archive; undefined: any. */
  readonly keepArchiveBytes: number | undefined;
  /** How often a lane's tail is trimmed. */
  readonly trimEveryMs: number;
  /** How long one blocking read waits. */
  readonly blockMs: number;
  /** How often it is looked whether something was archived, for the application's own projections. */
  readonly lookEveryMs: number;
  /** How often new queues are looked for. */
  readonly discoverEveryMs: number;
  /** How often a projector that has lost a lane looks whether the other one still moves. */
  readonly standbyMs: number;
  /** After a batch of fewer than `lingerBelow` entries, wait so long, so that a trickle is not a transaction per event. */
  readonly lingerMs: number;
  readonly lingerBelow: number;
  /** First and longest wait after a failure. */
  readonly backoffMs: number;
  readonly mostBackoffMs: number;
  /** Sessions in Postgres at once. */
  readonly poolSize: number;
}

/** The defaults. */
export const PROJECTOR_DEFAULTS: ProjectorSettings = {
  batchEntries: 1_000,
  batchBytes: 2 * 1_024 * 1_024,
  cachedRows: 20_000,
  onRegression: "continue",
  keepMs: 24 * 60 * 60 * 1_000,
  keepBytes: 256 * 1_024 * 1_024,
  maxTail: 0,
  whenFull: "refuse",
  keepArchiveMs: undefined,
  keepArchiveBytes: undefined,
  trimEveryMs: 10_000,
  blockMs: 5_000,
  lookEveryMs: 250,
  discoverEveryMs: 3_000,
  standbyMs: 1_000,
  lingerMs: 10,
  lingerBelow: 100,
  backoffMs: 100,
  mostBackoffMs: 10_000,
  poolSize: 5,
};
