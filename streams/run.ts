import { type EventType, isEnding } from "./events.ts";

/** Where a run is in its life. `none` is before its first event; the last five are endings. */
export type RunState =
  | "none"
  | "scheduled"
  | "waiting"
  | "running"
  | "retrying"
  | "succeeded"
  | "died"
  | "cancelled"
  | "skipped"
  | "lost";

const live = ["scheduled", "waiting", "running", "retrying"] as const;

/**
 * The run's state machine: for each event, the states it may come in and the state it leads to.
 * An event that is not listed is a note: it may come at any time and changes nothing.
 * The scripts in `scripts/` write these events and no others; a property test holds them to this table.
 */
export const LEGAL: Readonly<
  Partial<Record<EventType, { readonly from: readonly RunState[]; readonly to: RunState }>>
> = {
  "run.enqueued": { from: ["none"], to: "waiting" },
  "run.due": { from: ["scheduled", "retrying"], to: "waiting" },
  "run.started": { from: ["waiting"], to: "running" },
  "run.failed": { from: ["running"], to: "retrying" },
  "run.released": { from: ["waiting", "running"], to: "waiting" },
  "run.redelivered": { from: ["waiting", "running"], to: "waiting" },
  "run.recovered": { from: ["waiting", "running"], to: "waiting" },
  "run.deferred": { from: ["waiting"], to: "scheduled" },
  "run.restored": { from: ["none", ...live], to: "waiting" },
  "run.succeeded": { from: ["running"], to: "succeeded" },
  "run.died": { from: ["waiting", "running"], to: "died" },
  "run.cancelled": { from: live, to: "cancelled" },
  "run.skipped": { from: ["waiting"], to: "skipped" },
  "run.lost": { from: live, to: "lost" },
};

/** What the state machine reads of an event. */
export interface Step {
  readonly type: string;
  readonly dueAt?: number | undefined;
  readonly ending?: unknown;
}

/** The state after an event, or undefined when the event may not come in that state. */
export function evolve(state: RunState, event: Step): RunState | undefined {
  const rule = LEGAL[event.type as EventType];
  if (rule === undefined) return event.type === "run.withdrawn" ? withdrawn(state, event.ending) : state;
  if (!rule.from.includes(state)) return undefined;
  const isLater = event.dueAt !== undefined && (event.type === "run.enqueued" || event.type === "run.restored");
  return isLater ? "scheduled" : rule.to;
}

/** A run that a tail without its ending shows as alive has ended all the same, in a life of the lane that is archived. */
function withdrawn(state: RunState, ending: unknown): RunState {
  return isEnding(String(ending)) ? (String(ending).slice(4) as RunState) : state;
}

/** The first event of a run's history that may not stand where it stands; undefined when the history is legal. */
export function firstIllegal(
  history: readonly Step[],
): { readonly index: number; readonly state: RunState; readonly type: string } | undefined {
  let state: RunState = "none";
  for (const [index, event] of history.entries()) {
    const next = evolve(state, event);
    if (next === undefined) return { index, state, type: event.type };
    state = next;
  }
  return undefined;
}

/** The state that a history leads to. An illegal event is passed over: what is recorded is recorded. */
export function stateAfter(history: readonly Step[]): RunState {
  return history.reduce<RunState>((state, event) => evolve(state, event) ?? state, "none");
}

/** True when no transition may follow. */
export function hasEnded(state: RunState): boolean {
  return isEnding(`run.${state}`);
}
