import { derivedId } from "../../streams/ids.ts";
import { durationMs } from "../define/duration.ts";
import { fromJson } from "../define/json.ts";
import { encodeEvent } from "../define/payload.ts";
import { policiesOfRun, resolvePolicies, travellingRetry } from "../define/resolve-policies.ts";
import type { DomainEvent, EventPublisher, TopicRecord } from "../define/topic.ts";
import { getEventPublisher } from "../deps.ts";
import { type Override, override } from "../di/provider.ts";
import type { Engine } from "../engine.ts";
import { callInline } from "../execute/call.ts";
import { judge } from "../execute/outcome.ts";
import { recordError } from "../execute/recorded-error.ts";
import { type Book, isOver, type PlayedRun, record } from "./book.ts";
import { tellSubscribers } from "./subscriptions.ts";

/** What runs are played with. */
export interface Player {
  readonly engine: Engine;
  readonly book: Book;
  readonly overrides: readonly Override[];
}

const WORKER = "test";

/** Runs everything that is due, and what that dispatches, until nothing is. With `retries`, failed runs are tried again without waiting. Gives the runs that died. */
export async function playDue(player: Player, { retries }: { readonly retries: boolean }): Promise<PlayedRun[]> {
  const died: PlayedRun[] = [];
  for (let run = nextDue(player.book, retries); run !== undefined; run = nextDue(player.book, retries)) {
    await playAttempt(player, run);
    if (run.status === "died") died.push(run);
  }
  return died;
}

/** The run that is due first. */
function nextDue({ runs, now }: Book, retries: boolean): PlayedRun | undefined {
  const due = runs.filter((run) => !isOver(run) && (run.dueAt <= now || (retries && run.status === "retrying")));
  return due.sort((a, b) => a.dueAt - b.dueAt)[0];
}

async function playAttempt(player: Player, run: PlayedRun): Promise<void> {
  const { engine, book } = player;
  const { task, id, options } = run;
  const told = { run: id, task: task.name } as const;
  if (run.status !== "waiting") record(book, task.queue, { type: "run.due", ...told, attempt: run.attempt });
  const attempt = { attempt: run.attempt, delivery: 1, worker: WORKER } as const;
  run.status = "running";
  record(book, task.queue, { type: "run.started", ...told, ...attempt });
  const retry = options.retry === undefined ? undefined : travellingRetry(options.retry);
  const timeoutMs = options.timeout === undefined ? undefined : durationMs(options.timeout, "timeout");
  const policies = policiesOfRun(resolvePolicies(task, engine.options.defaults), { retry, timeoutMs });
  const published = publisherFor(player, run);
  try {
    run.result = await callInline(engine, {
      record: task,
      input: run.body === "" ? undefined : fromJson(run.body, { name: "input", owner: `task "${task.name}"` }),
      slot: run.slot,
      overrides: [override(getEventPublisher, published.publisher), ...player.overrides],
      run: { id, attempt: run.attempt, labels: options.labels ?? {}, enqueuedAt: new Date(run.enqueuedAt) },
      timeoutMs: policies.timeoutMs,
    });
    run.status = "succeeded";
    record(book, task.queue, { type: "run.succeeded", ...told, ...attempt, durationMs: 0 });
  } catch (error) {
    return settleFailure(player, run, { error, retry: policies.retry });
  }
  for (const event of published.commit()) await tellSubscribers(engine, book, event);
}

function settleFailure(
  { book }: Player,
  run: PlayedRun,
  { error, retry }: { readonly error: unknown; readonly retry: Parameters<typeof judge>[0]["retry"] },
): void {
  const verdict = judge({
    outcome: { isSuccess: false, error },
    abortedBy: undefined,
    attempt: run.attempt,
    retry,
    random: () => 0.5,
  });
  const told = {
    run: run.id,
    task: run.task.name,
    attempt: run.attempt,
    delivery: 1,
    worker: WORKER,
    error: recordError(error),
    durationMs: 0,
  } as const;
  run.error = error;
  if (verdict.kind === "retried") {
    run.dueAt = book.now + verdict.delayMs;
    run.status = "retrying";
    record(book, run.task.queue, { type: "run.failed", ...told, retryAt: run.dueAt });
    run.attempt += 1;
  } else {
    run.reason = verdict.kind === "died" ? verdict.reason : verdict.kind;
    run.status = "died";
    record(book, run.task.queue, { type: "run.died", ...told, reason: run.reason });
  }
}

/** A publisher whose events are kept in the book once the run has succeeded; `commit` gives them. */
function publisherFor(
  { engine, book }: Player,
  run: PlayedRun,
): { readonly publisher: EventPublisher; commit(): readonly DomainEvent<unknown>[] } {
  const drafts: {
    readonly topic: string;
    readonly data: unknown;
    readonly id: string;
    readonly subject: string | undefined;
  }[] = [];
  return {
    publisher: {
      publish(topic, data, { id, subject } = {}) {
        const { json } = encodeEvent(topic as unknown as TopicRecord, data, engine.maxPayloadBytes);
        const value = json === "" ? undefined : fromJson(json, { name: "data", owner: `topic "${topic.name}"` });
        drafts.push({
          topic: topic.name,
          data: value,
          id: id ?? derivedId("event", run.id, String(drafts.length)),
          subject,
        });
      },
    },
    commit() {
      const time = new Date(book.now).toISOString();
      const events = drafts.map(({ topic, data, id, subject }) => ({
        id,
        type: topic,
        time,
        ...(subject === undefined ? {} : { subject }),
        data,
      }));
      for (const event of events) book.published.set(event.type, [...(book.published.get(event.type) ?? []), event]);
      return events;
    },
  };
}
