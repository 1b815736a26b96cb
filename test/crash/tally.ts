import { isEnding, type LedgerEvent, type UnknownEvent } from "../../streams/events.ts";
import { isLedgerEvent } from "../../streams/ledger.ts";
import { evolve, type RunState } from "../../streams/run.ts";

/** What the ledger says of one run, so far. */
export interface RunTally {
  state: RunState;
  endings: number;
  isIllegal: boolean;
  hasDied: boolean;
  /** The newest delivery of its entry that was recorded. */
  attempt: number;
  delivery: number;
}

/** What the ledger says of all runs: a million of them, too, since no event is kept. */
export interface Tally {
  readonly runs: Map<string, RunTally>;
  /** Results that were recorded although a later delivery of the run had been recorded before. */
  zombieWrites: number;
  /** Results that were refused, and noted. */
  refused: number;
  /** The first event of each run that its history does not allow, in words. */
  readonly wrongTurns: string[];
  /** When each run ended, in ms since 1970. */
  readonly endedAt: number[];
  /** From whom a run was taken over, and when. */
  readonly takeovers: { readonly from: string; readonly at: number }[];
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { runs: new Map(), zombieWrites: 0, refused: 0, wrongTurns: [], endedAt: [], takeovers: [] };
}

/** Takes an event in. With `mayAppear`, a run may be there without having been enqueued: somebody else wrote its entry. */
export function take(tally: Tally, event: LedgerEvent | UnknownEvent, mayAppear = false): void {
  if (!isLedgerEvent(event) || !("run" in event) || event.run === undefined) return;
  const run = runOf(tally, event, mayAppear);
  const next = evolve(run.state, event);
  if (next === undefined) {
    if (!run.isIllegal) tally.wrongTurns.push(`${event.type} of ${event.run}, which was ${run.state}`);
    run.isIllegal = true;
  } else run.state = next;
  if (isEnding(event.type)) {
    run.endings += 1;
    tally.endedAt.push(event.at);
  }
  if (event.type === "run.fenced") tally.refused += 1;
  else if (event.type === "run.died") run.hasDied = true;
  else takeDelivery(tally, run, event);
}

function runOf(
  { runs }: Tally,
  event: LedgerEvent & { readonly run?: string | undefined },
  mayAppear: boolean,
): RunTally {
  const known = runs.get(event.run as string);
  if (known !== undefined) return known;
  const state = mayAppear && event.type !== "run.enqueued" ? "waiting" : "none";
  const run = { state, endings: 0, isIllegal: false, hasDied: false, attempt: 0, delivery: 0 } as const;
  const made: RunTally = { ...run };
  runs.set(event.run as string, made);
  return made;
}

function takeDelivery(tally: Tally, run: RunTally, event: LedgerEvent): void {
  if (event.type === "run.redelivered" || event.type === "run.released" || event.type === "run.recovered") {
    run.attempt = event.attempt;
    run.delivery = event.delivery;
    if (event.type === "run.redelivered") tally.takeovers.push({ from: event.from, at: event.at });
  } else if (event.type === "run.due") {
    run.delivery = 0; // it lies in another entry now, whose deliveries are counted anew
  } else if (event.type === "run.succeeded" || event.type === "run.failed") {
    if (event.attempt === run.attempt && event.delivery < run.delivery) tally.zombieWrites += 1;
  }
}

/** Milliseconds from the death of a process to the moment at which each run it held had been taken over. */
export function takeoverTimes({ takeovers }: Tally, deaths: ReadonlyMap<number, number>): number[] {
  return takeovers.flatMap(({ from, at }) => {
    const died = deaths.get(Number(from.split("-").at(-2)));
    return died === undefined ? [] : [at - died];
  });
}

/** Milliseconds from each moment at which a fault was over to the next ending of a run. */
export function recoveryTimes({ endedAt }: Tally, healedAt: readonly number[]): number[] {
  const ends = endedAt.toSorted((a, b) => a - b);
  return healedAt.flatMap((healed) => {
    const next = ends.find((at) => at >= healed);
    return next === undefined ? [] : [next - healed];
  });
}

/** The value below which a share of the values lies; undefined for none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
