import type { Subscription } from "../define/subscription.ts";
import type { DomainEvent } from "../define/topic.ts";
import type { Engine } from "../engine.ts";
import { readEvent, refusal } from "../relay/read-event.ts";
import { type Book, record } from "./book.ts";
import { enter, hasLapsed } from "./enter.ts";

/**
 * Turns a published event into a run of each subscriber, as a relay does: an event that is published twice within a day is one run, and
 * one that does not fit is refused. A group hears of all that is published under the test broker, wherever it starts.
 */
export async function tellSubscribers(engine: Engine, book: Book, event: DomainEvent<unknown>): Promise<void> {
  for (const subscription of engine.subscriptions)
    if (subscription.topic.name === event.type) await tell(subscription, { engine, book, event });
}

interface Telling {
  readonly engine: Engine;
  readonly book: Book;
  readonly event: DomainEvent<unknown>;
}

async function tell(subscription: Subscription, { engine, book, event }: Telling): Promise<void> {
  const { task, said, options } = subscription;
  const text = JSON.stringify(event);
  try {
    const { maxPayloadBytes } = engine;
    const read = await readEvent(text, { subscription, namespace: "test", generation: 0, maxPayloadBytes });
    const { run: id, key, body } = read;
    const known = book.keys.get(`${task.name}\n${key}`);
    if (known !== undefined && !hasLapsed(known, said.keyTtl, book.now)) return;
    const dueAt = said.atMs ?? book.now + (said.delayMs ?? 0);
    const run = enter(book, task, { id, body, options: { ...options, key }, dueAt, slot: undefined });
    book.keys.set(`${task.name}\n${key}`, run);
  } catch (error) {
    record(book, said.queue ?? task.queue, refusal({ id: `${book.now}-0`, event: text }, subscription, error));
  }
}
