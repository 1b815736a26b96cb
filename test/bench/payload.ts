import { randomBytes } from "node:crypto";
import { z } from "zod";

/**
 * What runs carry. `small`: about 100 bytes. `order`: 10 KB of JSON as an application would send it, a customer and some eighty lines of
 * an order, with names, words, prices and ids drawn by a generator with a fixed seed. `random`: 10 KB of base64 of random bytes, which
 * nothing can make smaller.
 */
export type PayloadKind = "small" | "order" | "random";

const small = z.object({ userId: z.string(), campaign: z.string(), sentAt: z.number() });
const order = z.object({
  orderId: z.string(),
  customer: z.object({ id: z.string(), name: z.string(), email: z.string(), city: z.string() }),
  currency: z.string(),
  lines: z.array(
    z.object({ sku: z.string(), title: z.string(), quantity: z.int(), cents: z.int(), giftWrap: z.boolean() }),
  ),
});
const random = z.object({ blob: z.string() });

/** The schema of each kind: inputs are checked where they are sent and where they are received. */
export const schemas = { small, order, random } as const;

const TEN_KILOBYTES = 10_000;
const WORDS =
  "amber anchor basket birch blue bottle brass cedar chair coffee copper cotton cup desk drawer field fine garden glass green hand heavy iron kettle lamp large leather light linen maple mug north oak paper pine plate red river rug salt shelf silver small soft spoon steel stone table tea thick towel wall warm wax white wide window wood wool".split(
    " ",
  );

/** Different inputs of a kind, the same in every process. They are made once and sent in turn. */
export function makePayloads(kind: PayloadKind, count: number): readonly Readonly<Record<string, unknown>>[] {
  const draw = generator(20_261_125);
  if (kind === "random") return Array.from({ length: count }, () => ({ blob: randomBytes(7_490).toString("base64") }));
  if (kind === "order") return Array.from({ length: count }, () => makeOrder(draw));
  return Array.from({ length: count }, (_, at) => ({
    userId: hex(draw, 32),
    campaign: pick(draw, WORDS),
    sentAt: 1_764_000_000_000 + at,
  }));
}

function makeOrder(draw: () => number) {
  const [first, last] = [pick(draw, WORDS), pick(draw, WORDS)];
  const made = {
    orderId: hex(draw, 24),
    customer: {
      id: hex(draw, 24),
      name: `${first} ${last}`,
      email: `${first}.${last}@mail.example`,
      city: pick(draw, WORDS),
    },
    currency: "EUR",
    lines: [] as z.infer<typeof order>["lines"],
  };
  for (let bytes = JSON.stringify(made).length; bytes < TEN_KILOBYTES; ) {
    const line = {
      sku: `${pick(draw, WORDS).slice(0, 2).toUpperCase()}-${Math.floor(draw() * 1e6)}`,
      title: Array.from({ length: 3 + Math.floor(draw() * 4) }, () => pick(draw, WORDS)).join(" "),
      quantity: 1 + Math.floor(draw() * 12),
      cents: Math.floor(draw() * 50_000),
      giftWrap: draw() < 0.1,
    };
    bytes += JSON.stringify(line).length + 1;
    made.lines.push(line);
  }
  return made;
}

function pick<T>(draw: () => number, from: readonly T[]): T {
  return from[Math.floor(draw() * from.length)] as T;
}

function hex(draw: () => number, digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(draw() * 16).toString(16)).join("");
}

/** Numbers from 0 up to 1, always the same ones for a seed (a linear congruential generator, constants of Numerical Recipes). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}
