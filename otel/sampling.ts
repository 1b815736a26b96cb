import { type SpanContext, TraceFlags } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";

/** Says before a span is made whether it would be kept; `traceId` is the trace that it would belong to. */
export type IsKept = (parent: Pick<SpanContext, "traceFlags"> | undefined, traceId: string) => boolean;

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
    isKept: (parent, traceId) =>
      isParentBased && parent !== undefined ? (parent.traceFlags & TraceFlags.SAMPLED) !== 0 : root.keeps(traceId),
  };
}

/** A sampler for traces that begin here. */
interface Root {
  readonly sampler: Sampler;
  readonly keeps: (traceId: string) => boolean;
}

function rootOf(name: string, argument: string | undefined): Root | undefined {
  if (name === "always_on") return { sampler: new AlwaysOnSampler(), keeps: () => true };
  if (name === "always_off") return { sampler: new AlwaysOffSampler(), keeps: () => false };
  const ratio = argument === undefined || argument.trim() === "" ? Number.NaN : Number(argument);
  if (name !== "traceidratio" || !(ratio >= 0 && ratio <= 1)) return undefined;
  // The SDK's own rule, which it works out anew at each call, after it has looked whether the id is one.
  const bound = ratio === 1 ? 2 ** 32 : Math.floor(ratio * (2 ** 32 - 1));
  return { sampler: new TraceIdRatioBasedSampler(ratio), keeps: (traceId) => folded(traceId) < bound };
}

/** The four words of a trace id, laid over each other. */
function folded(traceId: string): number {
  let word = 0;
  let all = 0;
  for (let at = 0; at < 32; at += 1) {
    const code = traceId.charCodeAt(at);
    word = (word << 4) | (code < 58 ? code - 48 : code - 87);
    if ((at & 7) === 7) all ^= word;
  }
  return all >>> 0;
}
