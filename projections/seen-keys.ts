/** Two to the power of so many bits: four megabytes, for one wrong guess in a hundred at two million keys. */
const BITS = 25;
const MASK = 2 ** BITS - 1;

/** Remembers which keys it was shown, in a fixed amount of memory. It may take one for known that is not, and never the other way round (a Bloom filter, of two hashes). */
export interface SeenKeys {
  add(key: string): void;
  /** False: it was certainly not added. */
  mayHave(key: string): boolean;
}

/** A memory of keys. `isFull`: begins with taking every key for known. */
export function createSeenKeys(isFull = false): SeenKeys {
  const words = new Uint32Array(2 ** (BITS - 5));
  const has = (bit: number) => ((words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  return {
    add(key) {
      for (const bit of bitsOf(key)) words[bit >>> 5] = (words[bit >>> 5] as number) | (1 << (bit & 31));
    },
    mayHave: (key) => isFull || bitsOf(key).every(has),
  };
}

/** FNV-1a (Fowler, Noll, Vo), and a second hash by another start and order. */
function bitsOf(key: string): [number, number] {
  let [one, other] = [0x811c9dc5, 0x9747b28c];
  for (let at = 0; at < key.length; at += 1) {
    const code = key.charCodeAt(at);
    one = Math.imul(one ^ code, 0x01000193);
    other = Math.imul(other + code, 0x5bd1e995) ^ (other >>> 13);
  }
  return [(one ^ (one >>> 15)) & MASK, (other ^ (other >>> 11)) & MASK];
}
