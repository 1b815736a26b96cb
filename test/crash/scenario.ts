import type { Redis } from "ioredis";
import type { Server, ServerOptions } from "../../src/dev/server.ts";
import type { Actor, Cast } from "./cast.ts";
import type { Verdict } from "./oracle.ts";
import type { Order, Told } from "./programs/order.ts";
import type { FaultyLink } from "./proxy.ts";
import type { Random } from "./random.ts";

/** A fault, and what it is done to. */
export interface Scenario {
  readonly name: string;
  /** One sentence: what is done. */
  readonly what: string;
  /** Runs, at the ladder's size and at a small one. */
  readonly sizes: { readonly ladder: number; readonly small: number };
  /** Duplicate starts that the fault explains, at most; the other marks are 0 for every scenario. */
  readonly allowedDuplicates: (size: number, kills: number) => number;
  /** Runs that die by design; undefined: as many as may be. Default 0. */
  readonly expectedDead?: (size: number) => number | undefined;
  /** How long workers' leases are. Default "2s", so that what is harmed is soon taken over. */
  readonly lease?: string;
  readonly redis?: ServerOptions;
  /** Whether a Postgres is there too. Then the rows are compared with the ledger in the end. */
  readonly hasPostgres?: boolean;
  /** More arguments for Postgres. */
  readonly postgresArgs?: readonly string[];
  /** MB by which no worker's memory may grow once it is warm. Default: it is told, and no mark. */
  readonly mostGrowthMb?: number;
  /** Whether it needs the machine for itself, for what it measures or for how much it does. Default false. */
  readonly isAlone?: boolean;
  /** Whether it takes minutes at the ladder's size: it is begun early, beside the others. Default false. */
  readonly isLong?: boolean;
  /** Whether entries are put in that nobody dispatched: their histories begin in the middle. */
  readonly hasForeign?: boolean;
  play(stage: Stage): Promise<void>;
  /** More that must hold, beyond the invariants; each a sentence when it does not. */
  check?(stage: Stage): Promise<readonly string[]>;
}

/** The lease where workers are not what is harmed: no machine is so slow that it lapses, and nothing that was lost comes back by its lapsing. */
export const UNTOUCHED = "30s";

/** What a scenario plays with. */
export interface Stage {
  readonly size: number;
  readonly random: Random;
  readonly server: Server;
  /** Only in scenarios that have one. */
  readonly postgres: Server | undefined;
  /** A connection that no fault touches. */
  readonly redis: Redis;
  readonly namespace: string;
  readonly queue: string;
  readonly cast: Cast;
  /** Where producers and handlers keep their journals. */
  readonly journals: { readonly told: string; readonly effects: string };
  /** A link to Redis that can fail, and the variables that lead processes over it. Closed after all processes have ended. */
  link(): Promise<{ readonly proxy: FaultyLink; readonly env: Readonly<Record<string, string>> }>;
  /** Starts workers, and waits until they work. */
  workers(count: number, options?: object, env?: Readonly<Record<string, string>>): Promise<readonly Actor[]>;
  /** Starts a projector, and waits until it works. */
  projector(): Promise<Actor>;
  /** Has a producer dispatch runs; resolves, when it has done so, to what it was told. */
  produce(count: number, order?: Partial<Order>, env?: Readonly<Record<string, string>>): Promise<Told>;
  /** Resolves when the producer that was started last has dispatched its first round: however slow the machine, the fault meets it at work. */
  begun(): Promise<void>;
  /** Resolves when this many runs have ended, by the ledger. */
  endings(count: number, withinMs?: number): Promise<void>;
  /** A fault is over: from here to the next ending is how long recovery took. */
  healed(): void;
  /** Forgets what producers and handlers have told so far: what they told of is gone by design. */
  forget(): void;
  /** Something is not as it should be. */
  note(text: string): void;
  /** Something to be read beside the numbers. */
  remark(text: string): void;
}

/** What came of a scenario. */
export interface Report {
  readonly scenario: string;
  readonly seed: number;
  readonly size: number;
  readonly verdict: Verdict;
  /** Duplicate starts that the fault explains, at most. */
  readonly allowedDuplicates: number;
  /** Connections to Redis beyond what the living processes need, or left by those that ended. */
  readonly connectionsLeft: number;
  /** How fast the memory of a worker grew, in MB a minute; undefined when none lived for half a minute. */
  readonly memorySlope: number | undefined;
  /** Lines on standard error that are none of our log: warnings of Node, errors that nobody handled. */
  readonly unhandled: number;
  /** The most lines of one class that one process logged within five seconds. */
  readonly noise: number;
  readonly tookMs: number;
  readonly remarks: readonly string[];
  readonly failures: readonly string[];
}
