import { ROOT_CONTEXT, type SpanContext, SpanKind, TraceFlags } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";

/** Says before a span is made whether it would be kept; `traceId` is the trace that it would belong to. */
export type IsKept = (parent: SpanContext | undefined, traceId: string) => boolean;

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
  const keepsRoot = (traceId: string) =>
    root.shouldSample(ROOT_CONTEXT, traceId, "", SpanKind.INTERNAL, nothing, noLinks).decision !==
    SamplingDecision.NOT_RECORD;
  return {
    sampler: isParentBased ? new ParentBasedSampler({ root }) : root,
    isKept: (parent, traceId) =>
      isParentBased && parent !== undefined ? (parent.traceFlags & TraceFlags.SAMPLED) !== 0 : keepsRoot(traceId),
  };
}

const nothing = Object.freeze({});
const noLinks: never[] = [];

function rootOf(name: string, argument: string | undefined): Sampler | undefined {
  if (name === "always_on") return new AlwaysOnSampler();
  if (name === "always_off") return new AlwaysOffSampler();
  const ratio = argument === undefined || argument.trim() === "" ? Number.NaN : Number(argument);
  if (name === "traceidratio" && ratio >= 0 && ratio <= 1) return new TraceIdRatioBasedSampler(ratio);
  return undefined;
}
