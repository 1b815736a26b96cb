import type { LaneKeys } from "../../streams/keys.ts";
import type { Random } from "./random.ts";

/** Numbers that somebody may have written where one of ours is expected. */
const NUMBERS = [0, 1, -1, 1.5, 1e15, 1e300, Number.MAX_SAFE_INTEGER, 2 ** 53, 4_000_000_000_000];
/** Texts likewise. */
const TEXTS = [
  "",
  " ",
  "0",
  "-1",
  "NaN",
  "1e400",
  "null",
  "[]",
  "{}",
  "{",
  '"',
  "\u0000",
  "\ud800",
  "\n",
  "__proto__",
  "é".repeat(300),
];
const META = [
  "enqueuedAt",
  "keyUntil",
  "dueAt",
  "timeoutMs",
  "resultTtlMs",
  "unknownSince",
  "taskVersion",
  "retry",
  "labels",
  "cron",
];

/** An entry that none of us wrote: fields and values in turn. */
export type ForeignEntry = readonly (string | Buffer)[];

/** Makes an entry as a stranger, an old tool or a flipped bit may leave it; the same for the same choices. `n` is another one for each. */
export function foreignEntry(random: Random, keys: LaneKeys, n: number): ForeignEntry {
  const kind = random.between(0, 10);
  if (kind === 0) return ["hello", "world", "again", String(n)];
  if (kind === 1) return [bytes(random), bytes(random)];
  const fields = wholeEntry(random, keys, n);
  const names = Object.keys(fields);
  if (kind === 2) delete fields[random.pick(names)];
  else if (kind === 3) fields.meta = JSON.stringify(strangeMeta(random));
  else if (kind === 4) fields.v = random.pick(["2", "99", "1.5", "-1", "01", "x"]);
  else if (kind === 5) fields.task = random.pick(["nobody", "toString", "constructor", "__proto__", "WORK"]);
  else if (kind < 9) fields[random.pick(names)] = kind < 8 ? random.pick(TEXTS) : bytes(random);
  return Object.entries(fields).flat();
}

function wholeEntry(random: Random, keys: LaneKeys, n: number): Record<string, string | Buffer> {
  return {
    v: "1",
    run: `0189${n.toString(16).padStart(8, "0").slice(0, 4)}-${n.toString(16).padStart(8, "0").slice(4)}-7000-8000-000000000000`,
    task: "work",
    attempt: String(random.pick([1, 1, 1, 1, ...NUMBERS])),
    key: random.pick(["", "", keys.tasks, keys.key("work", `f:${n}`), "no key of ours"]),
    expires: String(random.pick([0, 0, 0, ...NUMBERS])),
    meta: JSON.stringify(random.next() < 0.5 ? { enqueuedAt: 1 } : strangeMeta(random)),
    body: random.pick(['{"n":1}', '{"n":1}', "{}", "1", '{"n":"x"}']),
  };
}

function strangeMeta(random: Random): object {
  const strange = () => random.pick<unknown>([...NUMBERS, ...TEXTS, null, [], {}, true]);
  const some = META.filter(() => random.next() < 0.15);
  return { enqueuedAt: 1, ...Object.fromEntries(some.map((name) => [name, strange()])) };
}

function bytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.between(0, 60) }, () => random.between(0, 256)));
}
