import type { Hold } from "../deliver/work-lane.ts";

/** What waits for a slot: first in, first out. */
export interface Backlog {
  push(one: Hold): void;
  /** The next that still waits. */
  shift(): Hold | undefined;
  size(): number;
  all(): Hold[];
  /** From the first on, as long as they are such. */
  head(isSuch: (one: Hold) => boolean): Hold[];
}

/** An empty one. What has gone in the meantime is passed over. */
export function createBacklog(): Backlog {
  let items: Hold[] = [];
  let head = 0;
  return {
    push(one) {
      if (head > 1_000 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      items.push(one);
    },
    size: () => items.length - head,
    all: () => items.slice(head),
    head(isSuch) {
      let end = head;
      while (end < items.length && isSuch(items[end] as Hold)) end += 1;
      return items.slice(head, end);
    },
    shift() {
      while (head < items.length) {
        const next = items[head] as Hold;
        head += 1;
        if (next.phase === "waiting") return next;
      }
      items = [];
      head = 0;
      return undefined;
    },
  };
}
