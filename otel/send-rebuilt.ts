import { SCOPE } from "./attributes.ts";
import type { RebuiltSpan } from "./rebuilt-span.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where rebuilt spans go: the standard variables' OTLP endpoint for traces, over HTTP. Undefined when none is set. */
export function tracesEndpoint(env: Environment): string | undefined {
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  if (own) return own;
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  return base ? `${base.replace(/\/+$/, "")}/v1/traces` : undefined;
}

/** Waits before a collector that has no time is asked again, in ms. */
const PATIENCE_MS: readonly number[] = [250, 1_000, 4_000];

/**
 * Sends spans in one request, as OTLP JSON. The SDK cannot: it gives out ids, and does not take them. Asks again a few times when the collector
 * is away or has no time (429, 502, 503, 504, as OTLP says). Throws when it does not take them.
 */
export async function sendRebuilt(spans: readonly RebuiltSpan[], endpoint: string, env: Environment): Promise<void> {
  const headers = { "content-type": "application/json", ...headersOf(env) };
  const body = JSON.stringify(toOtlp(spans, env.OTEL_SERVICE_NAME || "tasktrail"));
  for (const waitMs of [...PATIENCE_MS, undefined]) {
    const refusal = await post(endpoint, { headers, body });
    if (refusal === undefined) return;
    if (waitMs === undefined || !refusal.mayPass) throw refusal.error;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** Why a collector did not take spans, in words. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message || (cause as { code?: string }).code}` : message;
}

interface Refusal {
  readonly error: unknown;
  readonly mayPass: boolean;
}

async function post(endpoint: string, request: Pick<RequestInit, "headers" | "body">): Promise<Refusal | undefined> {
  try {
    const response = await fetch(endpoint, { ...request, method: "POST", signal: AbortSignal.timeout(30_000) });
    const said = (await response.text()).slice(0, 200);
    if (response.ok) return undefined;
    const error = new Error(`the collector at ${endpoint} said ${response.status}: ${said}`);
    return { error, mayPass: [429, 502, 503, 504].includes(response.status) };
  } catch (error) {
    return { error, mayPass: true };
  }
}

/** `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs with commas between them, percent-encoded. */
function headersOf(env: Environment): Record<string, string> {
  const text = env.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? env.OTEL_EXPORTER_OTLP_HEADERS ?? "";
  const pairs = text.split(",").filter((pair) => pair.includes("="));
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())];
    }),
  );
}

const KINDS = { internal: 1, producer: 4, consumer: 5 } as const;
const ERROR = 2;

/** Spans as an OTLP request in JSON: ids in hexadecimal, times in nanoseconds as text. */
export function toOtlp(spans: readonly RebuiltSpan[], service: string): object {
  const resource = { attributes: attributesOf({ "service.name": service }) };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: SCOPE }, spans: spans.map(toOtlpSpan) }] }] };
}

function toOtlpSpan({ error, ...span }: RebuiltSpan): object {
  const endTimeUnixNano = nanos(Math.max(span.endMs, span.startMs + 0.001)); // Jaeger takes no length for a negative one
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanos(span.startMs),
    endTimeUnixNano,
    attributes: attributesOf({ ...span.attributes, ...(error === undefined ? {} : { "error.type": error.type }) }),
    links: span.links.map(({ traceId, spanId, relation }) => ({
      traceId,
      spanId,
      attributes: attributesOf({ "tasktrail.link": relation }),
    })),
    ...(error === undefined
      ? {}
      : { status: { code: ERROR, message: error.message }, events: [exceptionOf(error, endTimeUnixNano)] }),
  };
}

function exceptionOf({ type, message, stack }: NonNullable<RebuiltSpan["error"]>, timeUnixNano: string): object {
  const said = { "exception.type": type, "exception.message": message };
  const attributes = attributesOf(stack === undefined ? said : { ...said, "exception.stacktrace": stack });
  return { name: "exception", timeUnixNano, attributes };
}

function nanos(ms: number): string {
  return String(BigInt(Math.round(ms * 1_000)) * 1_000n);
}

function attributesOf(attributes: Readonly<Record<string, string | number | boolean>>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) }));
}

function otlpValue(value: string | number | boolean): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
