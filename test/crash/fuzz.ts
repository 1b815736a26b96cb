import { ENTRY_FIELD } from "../../streams/entry.ts";
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

/** An entry that none of us wrote. */
export interface ForeignEntry {
  /** Fields and values in turn, as for XADD. */
  readonly fields: readonly (string | Buffer)[];
  /** The run that it names, when it still does. */
  readonly run?: string;
  /** The idempotency key that it names, if it is one that a run of ours could have. */
  readonly key?: string;
}

/** Makes an entry as a stranger, an old tool or a flipped bit may leave it; the same for the same choices. `n` is another one for each. */
export function foreignEntry(random: Random, keys: LaneKeys, n: number): ForeignEntry {
  const kind = random.between(0, 10);
  if (kind === 0) return { fields: ["hello", "world", "again", String(n)] };
  if (kind === 1) return { fields: [bytes(random), bytes(random)] };
  const parts = wholeEntry(random, keys, n);
  const { run, key } = parts as { run: string; key: string };
  const names = Object.keys(parts);
  if (kind === 2) delete parts[random.pick(names)];
  else if (kind === 3) parts.meta = JSON.stringify(strangeMeta(random));
  else if (kind === 4) parts.v = random.pick(["2", "99", "1.5", "-1", "01", "x"]);
  else if (kind === 5) parts.task = random.pick(["nobody", "toString", "constructor", "__proto__", "WORK"]);
  else if (kind < 9) parts[random.pick(names)] = kind < 8 ? random.pick(TEXTS) : bytes(random);
  const field = kind === 6 && random.next() < 0.1 ? "f" : ENTRY_FIELD;
  return { fields: [field, packed(Object.values(parts))], run, ...(key.includes(":f:") ? { key } : {}) };
}

/** The parts as an entry has them, one after the other with a NUL between: one that holds a NUL itself moves all that follow. */
function packed(parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(parts.flatMap((part, index) => [Buffer.from(index === 0 ? "" : "\0"), Buffer.from(part)]));
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
