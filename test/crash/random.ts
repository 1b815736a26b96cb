/** Numbers that look random and come again with the same seed. */
export interface Random {
  /** From 0 up to but not including 1. */
  next(): number;
  /** A whole number from `low` up to but not including `high`. */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
}

/** The generator "mulberry32" by Tommy Ettinger (public domain): 32 bits of state, plenty for choosing faults. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low));
  return { next, between, pick: (items) => items[between(0, items.length)] as (typeof items)[number] };
}
