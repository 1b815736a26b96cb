import type { Delivery } from "../../streams/entry.ts";
import { derivedId } from "../../streams/ids.ts";
import { bodyOf } from "../../streams/packed.ts";
import type { Settlement } from "../../streams/settle.ts";
import type { Clock } from "../clock.ts";
import { decodeInput } from "../define/payload.ts";
import type { ResolvedPolicies } from "../define/policy.ts";
import { policiesOfRun } from "../define/resolve-policies.ts";
import type { TaskRecord } from "../define/task.ts";
import { isPromise } from "../define/travelling.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { askCancelled } from "../deliver/promote.ts";
import { type Hold, hold, letGo, type WorkLane } from "../deliver/work-lane.ts";
import { isTasktrailError, leaseLost } from "../errors.ts";
import type { Notice } from "../middleware.ts";
import type { Launch } from "./begun.ts";
import { slotOf } from "./context.ts";
import { damaged, poison, unknown } from "./death-words.ts";
import { type Inspected, inspectEntry } from "./inspect-entry.ts";
import type { Launcher } from "./launch.ts";
import { isExclusive, lockLeft, type Overlap } from "./overlap.ts";
import { createPump } from "./pump.ts";
import type { Settler } from "./settle.ts";
import * as settlement from "./settlement.ts";

/** The waits of a run whose task nobody here knows, in ms. */
const UNKNOWN_WAIT_MS = { least: 1_000, most: 30_000 };

/** What executing rests on. */
export interface ExecutorParts {
  readonly clock: Clock;
  readonly capacity: Capacity;
  readonly launcher: Launcher;
  readonly overlap: Overlap;
  readonly settlerOf: (workLane: WorkLane) => Settler;
  readonly task: (name: string) => TaskRecord | undefined;
  readonly policiesOf: (record: TaskRecord) => ResolvedPolicies;
  readonly maxDeliveries: number;
  readonly unknownTaskGraceMs: number;
  /** After so long, a suspect no longer keeps the next one from starting. */
  readonly suspectAloneMs: number;
  readonly random: () => number;
  readonly announce: (notice: Notice) => void;
}

/** Runs what is delivered, as slots come free. */
export interface Executor {
  /** Takes entries into hand. They start on the next turn of the event loop, in order. */
  accept(workLane: WorkLane, deliveries: readonly Delivery[]): void;
  /** An entry is no longer this worker's: what runs for it is aborted, what waits is forgotten. */
  lose(hold: Hold): void;
  /** Ends a waiting run whose cancel was asked for. */
  cancelWaiting(hold: Hold): void;
  /** Forgets what has waited here for so long, and gives it, so that it can be released to other workers. */
  handBack(afterMs: number): readonly Hold[];
  /** Starts nothing any more; what waits stays with Redis for others. */
  stopStarting(): void;
}

/** A run found fit to be started. */
interface Fit extends settlement.Unstarted {
  readonly meta: NonNullable<settlement.Unstarted["meta"]>;
  readonly record: TaskRecord;
}

/** Each entry goes through the same steps: read, known, in time, not cancelled, decoded, not poison, not overlapping, started. */
export function createExecutor(parts: ExecutorParts): Executor {
  const { clock, capacity, launcher, overlap, settlerOf } = parts;
  let isStopped = false;

  const queue = (holds: readonly Hold[]) => {
    if (isStopped) giveBack(holds);
    else pump.add(holds);
  };
  const giveBack = (holds: readonly Hold[]) => {
    for (const held of holds) {
      if (held.phase !== "waiting") continue;
      capacity.shift(held, "gone");
      letGo(held);
    }
  };
  const cancelWaiting = (held: Hold) => {
    held.isCancelled = true;
    if (held.phase === "waiting") begin(held);
  };

  const inspecting = { task: parts.task, idOf };
  const begin = (held: Hold) => {
    const found = inspectEntry(held, inspecting);
    if (found.kind !== "fit" || held.isCancelled || isLate(held) || isPoison(held)) return turnAway(held, found);
    const { run, task, meta, record } = found;
    decode({ hold: held, run, task, meta, record });
  };
  const isLate = ({ delivery, workLane }: Hold) =>
    delivery.entry.expires > 0 && workLane.lane.clock.now() > delivery.entry.expires;
  /** The first death happened among others, and is no strike: after so many deliveries, one less are strikes. */
  const isPoison = ({ delivery }: Hold) => delivery.isSuspect && delivery.strikes + 1 >= parts.maxDeliveries;
  const turnAway = (held: Hold, found: Inspected) => {
    const { run, task } = found;
    if (found.kind === "undecodable")
      return die({ hold: held, run, task, meta: undefined }, "undecodable", damaged(found.why));
    const one: settlement.Unstarted = { hold: held, run, task, meta: found.meta };
    if (held.isCancelled) return endForGood(one, settlement.cancellationUnstarted(one));
    if (isLate(held)) return die(one, "expired", undefined);
    if (found.kind === "unknown") return leave(one, found.reason);
    die(one, "poison", poison(held.delivery.strikes + 1));
  };

  const decode = (fit: Fit) => {
    if (fit.record.cron !== undefined && fit.meta.cron !== undefined) return start(fit, slotOf(fit.meta.cron));
    let body: string;
    try {
      body = bodyOf(fit.hold.delivery.entry, fit.meta);
    } catch {
      return die(fit, "undecodable", damaged("its body is packed, and cannot be unpacked"));
    }
    try {
      const decoded = decodeInput(fit.record, body);
      if (!isPromise(decoded)) return start(fit, decoded.value);
      capacity.shift(fit.hold, "running");
      decoded.then(
        ({ value }) => start(fit, value),
        (error: unknown) => misfit(fit, error),
      );
    } catch (error) {
      misfit(fit, error);
    }
  };
  const misfit = (fit: Fit, error: unknown) => {
    die(fit, isTasktrailError(error, "not_json") ? "undecodable" : "invalid_input", error);
  };

  const start = (fit: Fit, input: unknown) => {
    const held = fit.hold;
    if (held.phase === "gone") return onFree(held);
    capacity.shift(held, "running");
    const policies = policiesOfRun(parts.policiesOf(fit.record), fit.meta);
    const launch: Launch = { hold: held, record: fit.record, meta: fit.meta, policies, input, lock: undefined, onFree };
    if (held.delivery.isSuspect) pump.alone(held);
    if (isExclusive(fit.record, fit.meta)) void enter(fit, launch);
    else launcher.launch(launch);
  };
  const enter = async (fit: Fit, launch: Launch) => {
    const entrance = await overlap.enter(fit);
    const held = fit.hold;
    if (held.phase === "gone") return onFree(held);
    if (entrance.kind === "open") return launcher.launch({ ...launch, lock: entrance.lock });
    if (entrance.kind === "held") return end(fit, settlement.skip(fit, entrance.holder));
    const { error, delayMs, isInTurn } = entrance;
    if (error !== undefined) tellOfLock(fit, error);
    const waits = settlement.deferral(fit, "lock", { delayMs, meta: held.delivery.entry.meta });
    end(fit, waits, isInTurn ? (accepted) => accepted?.kind === "moved" && overlap.lookAgain(fit) : undefined);
  };
  const tellOfLock = ({ record, run }: Fit, error: unknown) => {
    const what = "whether the run before still runs could not be found out; the run waits a little";
    parts.announce({ kind: "problem", what, error, facts: { task: record.name, run } });
  };

  const leave = (one: settlement.Unstarted, reason: string) => {
    const { workLane, delivery } = one.hold;
    const now = workLane.lane.clock.now();
    const since = Math.min(one.meta?.unknownSince ?? now, Math.trunc(now)); // what others wrote may lie in the future
    const left = since + parts.unknownTaskGraceMs - now;
    if (left <= 0) return die(one, "unknown_task", unknown(one.task, reason));
    const wait = Math.min(Math.max(now - since, UNKNOWN_WAIT_MS.least), UNKNOWN_WAIT_MS.most);
    const delayMs = Math.ceil(Math.min(wait * (0.8 + 0.4 * parts.random()), left + 1));
    const meta = one.meta === undefined ? delivery.entry.meta : JSON.stringify({ ...one.meta, unknownSince: since });
    end(one, settlement.deferral(one, reason, { delayMs, meta }));
  };
  const die = (one: settlement.Unstarted, reason: string, error: unknown) => {
    endForGood(one, settlement.stillbirth(one, reason, error));
  };
  /** An attempt before this one may have left its lock. */
  const endForGood = (one: settlement.Unstarted, what: Settlement) => {
    const record = parts.task(one.task);
    const { meta, hold } = one;
    if (record === undefined || meta === undefined || !isExclusive(record, meta)) return end(one, what);
    end(one, { ...what, lockLeftMs: lockLeft({ hold, record, meta }) });
    overlap.forget({ hold, record, meta });
  };
  /** Settles what has not started, and goes on to the next. */
  const end = (one: settlement.Unstarted, what: Settlement, onSettled?: Parameters<Settler["conclude"]>[2]) => {
    settlerOf(one.hold.workLane).conclude(one.hold, what, onSettled);
    onFree(one.hold);
  };
  const { suspectAloneMs } = parts;
  const pump = createPump({ clock, capacity, suspectAloneMs, begin });
  const onFree = pump.freed;

  return {
    accept(workLane, deliveries) {
      if (deliveries.length === 0) return;
      const now = clock.elapsed();
      const holds = hold(workLane, deliveries, now);
      for (const held of holds) capacity.took(held);
      if (workLane.cancelRequests === 0) return queue(holds);
      void askCancelled(workLane, holds, cancelWaiting)
        .catch(() => {}) // the next look finds them, a second later
        .then(() => queue(holds));
    },
    lose(held) {
      if (held.phase === "settling") return; // its outcome asks for itself, by its token
      letGo(held);
      if (held.abort !== undefined) held.abort(leaseLost(held.delivery.entry.run));
      else capacity.shift(held, "gone");
    },
    cancelWaiting,
    handBack(afterMs) {
      const stale = pump.stale(clock.elapsed() - afterMs); // suspects, given elsewhere, would be taken for innocent
      giveBack(stale);
      return stale;
    },
    stopStarting() {
      isStopped = true;
      giveBack(pump.stop());
    },
  };
}

function idOf({ workLane, delivery }: Hold): string {
  return derivedId(workLane.lane.keys.tag, String(delivery.stream), delivery.id);
}
