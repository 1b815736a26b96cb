import { type SpanContext, TraceFlags } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import { type AttemptKey, idsOfAttempt, isOurs } from "../streams/trace-ids.ts";

/**
 * Says before a span is made whether it would be kept. `of` is the trace that it would belong to: its id, or what that follows from, since to
 * put the id together just to ask cost more than the answer.
 */
export type IsKept = (parent: Pick<SpanContext, "traceFlags"> | undefined, of: string | AttemptKey) => boolean;

/** A sampler, and a short way to ask it. */
export interface Sampling {
  readonly sampler: Sampler;
  readonly isKept: IsKept;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name; by default all but what a parent left out. Undefined for what the
 * SDK has to complain of: it then chooses one itself. All of these decide by parent and trace id alone, so that they may be asked early.
 */
export function samplingOf(env: Environment): Sampling | undefined {
  const name = env.OTEL_TRACES_SAMPLER || "parentbased_always_on";
  const isParentBased = name.startsWith("parentbased_");
  const root = rootOf(name.replace(/^parentbased_/, ""), env.OTEL_TRACES_SAMPLER_ARG);
  if (root === undefined) return undefined;
  return {
    sampler: isParentBased ? new ParentBasedSampler({ root: root.sampler }) : root.sampler,
    isKept: (parent, of) =>
      isParentBased && parent !== undefined ? (parent.traceFlags & TraceFlags.SAMPLED) !== 0 : root.keeps(of),
  };
}

/** A sampler for traces that begin here. */
interface Root {
  readonly sampler: Sampler;
  readonly keeps: (of: string | AttemptKey) => boolean;
}

function rootOf(name: string, argument: string | undefined): Root | undefined {
  if (name === "always_on") return { sampler: new AlwaysOnSampler(), keeps: () => true };
  if (name === "always_off") return { sampler: new AlwaysOffSampler(), keeps: () => false };
  const ratio = argument === undefined || argument.trim() === "" ? Number.NaN : Number(argument);
  if (name !== "traceidratio" || !(ratio >= 0 && ratio <= 1)) return undefined;
  // The SDK's own rule, which it works out anew at each call, after it has looked whether the id is one.
  const bound = ratio === 1 ? 2 ** 32 : Math.floor(ratio * (2 ** 32 - 1));
  return { sampler: new TraceIdRatioBasedSampler(ratio), keeps: (of) => mayBeBelow(of, bound) && foldedOf(of) < bound };
}

/** False when the highest byte says so, which it does of nearly all that a small ratio leaves out: it takes a quarter of the digits. */
function mayBeBelow(of: string | AttemptKey, bound: number): boolean {
  return bound > 0 && highestOf(of) <= bound / 2 ** 24;
}

function highestOf(of: string | AttemptKey): number {
  if (typeof of === "string") return byteAt(of, 0) ^ byteAt(of, 8) ^ byteAt(of, 16) ^ byteAt(of, 24);
  const { run, attempt } = of;
  if (!isOurs(run)) return 0;
  return byteAt(run, 9) ^ byteAt(run, 19) ^ byteAt(run, 28) ^ ((attempt >>> 8) & 0xff);
}

function byteAt(text: string, at: number): number {
  return (digitAt(text, at) << 4) | digitAt(text, at + 1);
}

/** Folds an id as it stands, or as it would be cut from the run's: the digits of attempt and delivery, then those of the run from the ninth on. */
function foldedOf(of: string | AttemptKey): number {
  if (typeof of === "string") return folded(of);
  const { run, attempt, delivery } = of;
  if (!isOurs(run)) return folded(idsOfAttempt(of).traceId);
  return (
    (wordAt(run, 9, 14) ^ wordAt(run, 19, 24) ^ wordAt(run, 28, 32) ^ ((attempt << 16) | (delivery & 0xffff))) >>> 0
  );
}

/** Eight digits: four from one place on, and four from another. */
function wordAt(run: string, first: number, second: number): number {
  return (fourAt(run, first) << 16) | fourAt(run, second);
}

function fourAt(run: string, at: number): number {
  return (digitAt(run, at) << 12) | (digitAt(run, at + 1) << 8) | (digitAt(run, at + 2) << 4) | digitAt(run, at + 3);
}

function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

/** The four words of a trace id, laid over each other. */
function folded(traceId: string): number {
  let word = 0;
  let all = 0;
  for (let at = 0; at < 32; at += 1) {
    word = (word << 4) | digitAt(traceId, at);
    if ((at & 7) === 7) all ^= word;
  }
  return all >>> 0;
}
