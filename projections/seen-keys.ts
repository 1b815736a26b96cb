/** Remembers which keys it was shown, in a fixed amount of memory. It may take one for known that is not, and never the other way round (a Bloom filter). */
export interface SeenKeys {
  add(key: string): void;
  /** False: it was certainly not added. */
  mayHave(key: string): boolean;
}

/** Bits for each key, at least, within these bounds: 128 KiB to 32 MiB. */
const BITS_PER_KEY = 16;
const FEWEST_BITS = 20;
const MOST_BITS = 28;

/** A memory for so many keys, which takes one in some hundreds of others for known when it is full, and hardly any before. */
export function createSeenKeys(keyCount: number): SeenKeys {
  const wanted = Math.ceil(Math.log2(Math.max(1, keyCount) * BITS_PER_KEY));
  const bits = Math.min(MOST_BITS, Math.max(FEWEST_BITS, wanted));
  const words = new Uint32Array(2 ** (bits - 5));
  const mask = 2 ** bits - 1;
  return {
    add(key) {
      for (const bit of bitsOf(key, mask)) words[bit >>> 5] = (words[bit >>> 5] as number) | (1 << (bit & 31));
    },
    mayHave: (key) => bitsOf(key, mask).every((bit) => ((words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0),
  };
}

/** Four bits from two hashes (Kirsch and Mitzenmacher): FNV-1a (Fowler, Noll, Vo), and another by another start and order. */
function bitsOf(key: string, mask: number): [number, number, number, number] {
  let [one, other] = [0x811c9dc5, 0x9747b28c];
  for (let at = 0; at < key.length; at += 1) {
    const code = key.charCodeAt(at);
    one = Math.imul(one ^ code, 0x01000193);
    other = Math.imul(other + code, 0x5bd1e995) ^ (other >>> 13);
  }
  const first = one ^ (one >>> 15);
  const step = (other ^ (other >>> 11)) | 1;
  return [first & mask, (first + step) & mask, (first + 2 * step) & mask, (first + 3 * step) & mask];
}
