/** One figure that a bench gives. */
export interface Figure {
  /** As in "runs/s" or "p99 at 50% load"; told apart from the bench's others by it. */
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** What one measurement found, by the names of the bench's figures. */
export type Figures = Readonly<Record<string, number>>;

/** A measurement's setting. It travels to the processes of its steps, so it is plain data. */
export interface Setting {
  /** Who is measured. */
  readonly contender: string;
  /** A private Redis that nobody has used before. */
  readonly redis: string;
  /** A fresh database, when the bench needs Postgres. */
  readonly database?: string | undefined;
  /** How much is done, against a full measurement. Default 1. */
  readonly scale: number;
}

/** A step at work: in a process of its own, which ends with it. */
export interface StepInProcess extends AsyncDisposable {
  /** Resolves when the step says that it is ready. */
  readonly ready: Promise<void>;
  /** What it has found. */
  readonly figures: Promise<Figures>;
  /** Asks it to come to its end, and gives what it has found. */
  stop(): Promise<Figures>;
}

/** Starts a step of the bench in a process of its own. `part` is what it is told besides the setting. */
export type StartStep = (step: string, part?: Part) => StepInProcess;

/** What one step is told, besides the setting. */
export type Part = Readonly<Record<string, number | string>>;

/** What a step has at hand, in its own process. */
export interface StepDesk {
  readonly setting: Setting;
  readonly part: Part;
  /** Aborted when it shall end. */
  readonly signal: AbortSignal;
  /** Tells the one who plays that what follows may be relied on. */
  ready(): void;
}

/** Something that is measured. */
export interface Bench {
  /** What it is called for: `npm run bench -- NAME`. */
  readonly name: string;
  /** What it measures, in a sentence. */
  readonly what: string;
  /** Who takes turns. The first is the one that the others are compared with. */
  readonly contenders: readonly string[];
  /** Whom the first is divided by in the table. Default "BullMQ"; left out of it when it is no contender. */
  readonly against?: string;
  readonly figures: readonly Figure[];
  readonly needs?: "postgres";
  /** Only when it is named: it takes too long, or is of interest to few. */
  readonly isExtra?: boolean;
  /** Rounds at most; for what comes out the same each time. */
  readonly rounds?: number;
  /** The parts that run in processes of their own. */
  readonly steps: Readonly<Record<string, (desk: StepDesk) => Promise<Figures | undefined>>>;
  /** Takes one measurement of one contender, by way of steps. */
  play(setting: Setting, start: StartStep): Promise<Figures>;
}
