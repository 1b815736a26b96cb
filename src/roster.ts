/** What can be on a roster. */
export interface Placed {
  /** Where it stands; -1: nowhere. Its roster alone writes it. */
  place: number;
}

/** Those that are there, in no order. Something is on one roster at a time. */
export interface Roster<T extends Placed> {
  /** Adds it, unless it is there. */
  add(one: T): void;
  /** Removes it, if it is there. */
  remove(one: T): void;
  has(one: T): boolean;
  size(): number;
  /** A copy: the roster may change while it is gone through. */
  all(): T[];
}

/**
 * For what comes and goes with every run, in the place of a Set or a Map: to add and to remove is cheaper by half, and where much changes those make a
 * new table every so often, to which the old one points. Once one of them has grown old in V8's heap, what was in all that follow it is kept alive
 * until the next full collection.
 */
export function createRoster<T extends Placed>(): Roster<T> {
  const items: T[] = [];
  const has = (one: T) => one.place >= 0 && items[one.place] === one;
  return {
    add(one) {
      if (has(one)) return;
      one.place = items.length;
      items.push(one);
    },
    remove(one) {
      if (!has(one)) return;
      const last = items.pop() as T;
      if (last !== one) {
        items[one.place] = last;
        last.place = one.place;
      }
      one.place = -1;
    },
    has,
    size: () => items.length,
    all: () => items.slice(),
  };
}
