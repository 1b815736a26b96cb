/** What a producer is to do. */
export interface Order {
  readonly count: number;
  /** The number of its first run. */
  readonly first: number;
  readonly task: "work" | "fresh";
  /** What the handler does. */
  readonly kind: string;
  /** How long the handler takes, in ms. */
  readonly ms: number;
  /** Size of each input's text, in bytes. */
  readonly bytes: number;
  /** Per attempt, in ms; 0: the task's. */
  readonly timeoutMs: number;
  /** Dispatches at once. */
  readonly inFlight: number;
  /** Connections that they are spread over. */
  readonly brokers: number;
  /** Whether each round goes out as one `kiqMany`. */
  readonly inBulk: boolean;
  /** Pause after each round of `inFlight`, in ms. */
  readonly pauseMs: number;
  /** How often a dispatch that fails is tried under its key. */
  readonly tries: number;
  readonly enqueueTimeoutMs: number;
}

/** What a producer does unless it is told otherwise. */
export const USUAL: Order = {
  count: 0,
  first: 0,
  task: "work",
  kind: "sleep",
  ms: 0,
  bytes: 0,
  timeoutMs: 0,
  inFlight: 100,
  brokers: 1,
  inBulk: false,
  pauseMs: 0,
  tries: 20,
  enqueueTimeoutMs: 5_000,
};

/** A dispatch that was given up. */
export interface Refused {
  readonly n: number;
  readonly code: string;
  /** Whether Redis may have taken it all the same. */
  readonly isAmbiguous: boolean;
  /** When the error came, in ms since 1970. */
  readonly at: number;
}

/** What a producer was told in the end. */
export interface Told {
  readonly taken: number;
  readonly refused: readonly Refused[];
}
