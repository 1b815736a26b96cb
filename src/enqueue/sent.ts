import type { Enqueued } from "../../streams/enqueue.ts";
import type { Landing } from "./coalesce.ts";

/** A run that Redis has taken, or that was there before under the same key. */
export interface Sent extends Landing {
  readonly run: string;
  readonly isNew: boolean;
  readonly queue: string;
}

/** What became of a record. */
export function toSent({ call, index }: Landing, run: string, queue: string): Sent {
  const existing = call.existing.size === 0 ? undefined : call.existing.get(index);
  return new Taken(existing ?? run, existing === undefined, { queue, call, index });
}

/** Of a class: see OnItsWay. */
class Taken implements Sent {
  declare readonly run: string;
  declare readonly isNew: boolean;
  declare readonly queue: string;
  declare readonly call: Enqueued;
  declare readonly index: number;
  constructor(run: string, isNew: boolean, { queue, call, index }: Landing & { readonly queue: string }) {
    this.run = run;
    this.isNew = isNew;
    this.queue = queue;
    this.call = call;
    this.index = index;
  }
}
