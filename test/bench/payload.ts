import { randomBytes } from "node:crypto";
import { z } from "zod";

/**
 * What runs carry. `small`: about 100 bytes. `order`: 10 KB of JSON as an application would send it, an order with
 * addresses and some thirty-five lines, whose words, prices and ids are drawn by a generator with a fixed seed. `random`: 10 KB of base64 of random bytes, which
 * nothing can make smaller.
 */
export type PayloadKind = "small" | "order" | "random";

const small = z.object({ userId: z.string(), campaign: z.string(), sentAt: z.number() });
const money = z.object({ amount: z.string(), currency: z.string() });
const address = z.object({
  name: z.string(),
  street: z.string(),
  city: z.string(),
  postcode: z.string(),
  country: z.string(),
});
const line = z.object({
  id: z.string(),
  sku: z.string(),
  title: z.string(),
  variant: z.string().nullable(),
  quantity: z.int(),
  price: money,
  discount: money.nullable(),
  tax: z.object({ rate: z.number(), amount: money }),
  giftWrap: z.boolean(),
  fulfilledAt: z.string().nullable(),
});
const order = z.object({
  id: z.string(),
  placedAt: z.string(),
  customer: z.object({ id: z.string(), email: z.string(), locale: z.string() }),
  billing: address,
  shipping: address,
  lines: z.array(line),
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

function makeOrder(draw: () => number): z.infer<typeof order> {
  const [first, last] = [pick(draw, WORDS), pick(draw, WORDS)];
  const home = {
    name: `${capital(first)} ${capital(last)}`,
    street: `${1 + Math.floor(draw() * 200)} ${capital(pick(draw, WORDS))} Street`,
    city: capital(pick(draw, WORDS)),
    postcode: String(10_000 + Math.floor(draw() * 89_999)),
    country: "DE",
  };
  const made = {
    id: hex(draw, 24),
    placedAt: new Date(1_764_000_000_000 + Math.floor(draw() * 1e9)).toISOString(),
    customer: { id: hex(draw, 24), email: `${first}.${last}@mail.example`, locale: "de-DE" },
    billing: home,
    shipping: home,
    lines: [] as z.infer<typeof line>[],
  };
  for (let bytes = JSON.stringify(made).length; bytes < TEN_KILOBYTES; ) {
    const next = makeLine(draw);
    bytes += JSON.stringify(next).length + 1;
    made.lines.push(next);
  }
  return made;
}

function makeLine(draw: () => number): z.infer<typeof line> {
  const cents = 100 + Math.floor(draw() * 50_000);
  const euros = (of: number) => ({ amount: (of / 100).toFixed(2), currency: "EUR" });
  return {
    id: hex(draw, 24),
    sku: `${pick(draw, WORDS).slice(0, 2).toUpperCase()}-${Math.floor(draw() * 1e6)}`,
    title: capital(Array.from({ length: 2 + Math.floor(draw() * 4) }, () => pick(draw, WORDS)).join(" ")),
    variant: draw() < 0.5 ? null : pick(draw, WORDS),
    quantity: 1 + Math.floor(draw() * 12),
    price: euros(cents),
    discount: draw() < 0.2 ? euros(Math.floor(cents / 10)) : null,
    tax: { rate: 0.19, amount: euros(Math.floor(cents * 0.19)) },
    giftWrap: draw() < 0.1,
    fulfilledAt: null,
  };
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
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
