import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** A span as it came in. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  /** OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string; readonly relation: unknown }[];
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[];
  /** 2: an error. */
  readonly status: number;
  readonly service: unknown;
}

/** A line of a log as it came in. */
export interface ReceivedLog {
  readonly body: unknown;
  readonly severity: string;
  readonly traceId: string | undefined;
  readonly spanId: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly service: unknown;
}

/** A collector for tests: takes OTLP over HTTP as JSON, and keeps it. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly logs: readonly ReceivedLog[];
  readonly metricNames: ReadonlySet<string>;
  /** The variables that have an SDK send here. */
  readonly env: Readonly<Record<string, string>>;
  /** Waits until `find` gives something of the spans so far. Throws after `timeoutMs` (default 20 s), with their names. */
  waitFor<T>(find: (spans: readonly ReceivedSpan[]) => T | undefined | false, timeoutMs?: number): Promise<T>;
}

/** Starts it, on a free port unless one is given. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const spans: ReceivedSpan[] = [];
  const logs: ReceivedLog[] = [];
  const metricNames = new Set<string>();
  const waiters = new Set<() => void>();
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === "/v1/traces") spans.push(...toSpans(body));
    if (request.url === "/v1/logs") logs.push(...toLogs(body));
    if (request.url === "/v1/metrics") for (const name of namesIn(body)) metricNames.add(name);
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
    for (const look of waiters) look();
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    spans,
    logs,
    metricNames,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
      OTEL_METRIC_EXPORT_TIMEOUT: "1000",
    },
    waitFor: (find, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = find(spans);
          if (found === undefined || found === false) return;
          done();
          resolve(found);
        };
        const late = () => {
          done();
          reject(new Error(`not within ${timeoutMs} ms:\n${spans.map(told).join("\n")}`));
        };
        const timer = setTimeout(late, timeoutMs);
        const done = () => {
          clearTimeout(timer);
          waiters.delete(look);
        };
        waiters.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const whole = Buffer.concat(chunks);
  const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(whole) : whole;
  return JSON.parse(text.toString()) as Body;
}

interface Pair {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Pair[];
  readonly links?: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes?: readonly Pair[];
  }[];
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly Pair[] }[];
  readonly status?: { readonly code?: number };
}
interface OtlpLog {
  readonly body?: Readonly<Record<string, unknown>>;
  readonly severityText?: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes?: readonly Pair[];
}
/** A request of traces, metrics or logs, as far as the tests look into it. */
export interface Body {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
  readonly resourceLogs?: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly OtlpLog[] }[];
  }[];
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

/** The spans in OTLP's JSON, as it is sent and as Jaeger's query API answers. */
export function toSpans({ resourceSpans = [] }: Body): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = toObject(resource.attributes)["service.name"];
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => toSpan(span, service)));
  });
}

function toSpan(span: OtlpSpan, service: unknown): ReceivedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || undefined,
    name: span.name,
    kind: span.kind,
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
    attributes: toObject(span.attributes),
    links: (span.links ?? []).map(({ traceId, spanId, attributes }) => ({
      traceId,
      spanId,
      relation: toObject(attributes)["tasktrail.link"],
    })),
    events: (span.events ?? []).map(({ name, attributes }) => ({ name, attributes: toObject(attributes) })),
    status: span.status?.code ?? 0,
    service,
  };
}

function toLogs({ resourceLogs = [] }: Body): ReceivedLog[] {
  return resourceLogs.flatMap(({ resource, scopeLogs }) => {
    const service = toObject(resource.attributes)["service.name"];
    return scopeLogs
      .flatMap(({ logRecords }) => logRecords)
      .map(({ body = {}, severityText = "", traceId, spanId, attributes }) => {
        const place = { traceId: traceId || undefined, spanId: spanId || undefined };
        return {
          body: Object.values(body)[0],
          severity: severityText,
          ...place,
          attributes: toObject(attributes),
          service,
        };
      });
  });
}

/** Whole numbers may be spelt as text in OTLP's JSON. */
function toObject(pairs: readonly Pair[] = []): Record<string, unknown> {
  const entries = pairs.map(({ key, value }) => [
    key,
    "intValue" in value ? Number(value.intValue) : Object.values(value)[0],
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function namesIn({ resourceMetrics = [] }: Body): string[] {
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name)),
  );
}

function told({ name, traceId, spanId, parentSpanId, attributes }: ReceivedSpan): string {
  const { "tasktrail.task.name": task, "tasktrail.attempt": attempt } = attributes;
  return `  ${traceId.slice(0, 6)} ${parentSpanId?.slice(0, 4) ?? "----"}/${spanId.slice(0, 4)} ${name} ${task} ${attempt}`;
}
