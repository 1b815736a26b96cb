/** How the relay works. All times in ms. */
export interface RelaySettings {
  /** Rows in one batch, at most; a batch is also no larger than one call of `enqueue.lua` may be. */
  readonly batchRows: number;
  /** How often the outbox is looked at when no bell rings. */
  readonly pollMs: number;
  /** How long a relay keeps a lane without a sign of life. Renewed three times in it. */
  readonly leaseMs: number;
  /** After another relay has refused a lane, it is not asked for again for so long. */
  readonly standbyMs: number;
  /** How long the rows of published events stay, so that they can be sent again should Redis have lost them. */
  readonly keepEventsMs: number;
  /** How long events stay in their topic, whoever has read them; those that a subscription has yet to read stay longer. */
  readonly keepTopicsMs: number;
  /** How long it is remembered that a run is done, for tasks with an inbox; longer while it has not ended. */
  readonly keepDoneMs: number;
  /** How often what is remembered for longer is swept out; not at the start, when the tables may be behind. */
  readonly sweepEveryMs: number;
  /** How often topics are trimmed. */
  readonly trimEveryMs: number;
  /** First and longest wait after a failure. */
  readonly backoffMs: number;
  readonly mostBackoffMs: number;
  /** Sessions in Postgres at once. */
  readonly poolSize: number;
}

/** The defaults. */
export const RELAY_DEFAULTS: RelaySettings = {
  batchRows: 500,
  pollMs: 100,
  leaseMs: 6_000,
  standbyMs: 1_000,
  keepEventsMs: 600_000,
  keepTopicsMs: 86_400_000,
  keepDoneMs: 604_800_000,
  sweepEveryMs: 60_000,
  trimEveryMs: 10_000,
  backoffMs: 100,
  mostBackoffMs: 5_000,
  poolSize: 4,
};

/** Waits between failures: doubling, the upper half of each at random. */
export function relayBackoffMs(failures: number, settings: RelaySettings, random = Math.random): number {
  const whole = Math.min(settings.backoffMs * 2 ** Math.min(failures - 1, 20), settings.mostBackoffMs);
  return whole / 2 + (whole / 2) * random();
}
