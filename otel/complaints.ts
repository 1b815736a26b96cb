import { type DiagLogger, DiagLogLevel, diag } from "@opentelemetry/api";

/** What has gone wrong with sending telemetry. */
export interface Complaints {
  /** Spans that were thrown away because the queue was full, as far as the SDK has said. */
  readonly droppedCount: () => number;
  /** The SDK's own voice. */
  readonly logger: DiagLogger;
}

/** Lines that say the same but for numbers are at least so far apart, in ms. */
const QUIET_MS = 30_000;

/**
 * Hears what the SDK complains of, and hands each kind of complaint on once in a while, with how often it came. The SDK itself says
 * nothing unless it is asked to, and of a full queue only when there is room again: a process that loses all its spans would look well.
 */
export function listenToSdk(report: (line: string) => void, now: () => number = () => performance.now()): Complaints {
  let droppedCount = 0;
  const kinds = new Map<string, { until: number; suppressed: number }>();
  const tell = (text: string) => {
    const kind = text.replaceAll(/\d+/g, "#").slice(0, 200);
    const known = kinds.get(kind);
    if (known !== undefined && now() < known.until) {
      known.suppressed += 1;
      return;
    }
    if (kinds.size > 100) kinds.clear();
    kinds.set(kind, { until: now() + QUIET_MS, suppressed: 0 });
    report(known?.suppressed ? `${text} (and ${known.suppressed} more of these)` : text);
  };
  const complain = (message: string, ...rest: unknown[]) => {
    const dropped = /^Dropped (\d+) spans/.exec(message)?.[1];
    droppedCount += Number(dropped ?? 0);
    tell(dropped === undefined ? `telemetry: ${worded(message, rest)}` : lost(Number(dropped), droppedCount));
  };
  const logger: DiagLogger = {
    error: complain,
    warn: complain,
    info() {},
    debug(message) {
      if (/dropping spans/.test(message)) tell(FULL);
    },
    verbose() {},
  };
  return { logger, droppedCount: () => droppedCount };
}

/** Has the SDK speak to a logger, unless OTEL_LOG_LEVEL says that it speaks for itself. */
export function attachToSdk({ logger }: Complaints, env: Readonly<Record<string, string | undefined>>): void {
  if (env.OTEL_LOG_LEVEL) return;
  diag.setLogger(logger, { logLevel: DiagLogLevel.DEBUG, suppressOverrideMessage: true });
}

const FULL =
  "telemetry: spans are being dropped, since more end than can be sent. Raise OTEL_BSP_MAX_QUEUE_SIZE, or sample with OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.1";

function lost(count: number, total: number): string {
  return `telemetry: ${count} spans were dropped (${total} in all), since the queue was full`;
}

/** The SDK hands errors over as JSON, with a stack of many lines. */
function worded(message: string, rest: readonly unknown[]): string {
  const said = messageOf(message) ?? message;
  const more = rest.map((one) => (one instanceof Error ? one.message : String(one)));
  return [said, ...more].join(" ").replaceAll(/\s+/g, " ").slice(0, 500);
}

function messageOf(json: string): string | undefined {
  try {
    const { message, name, code } = JSON.parse(json) as { message?: string; name?: string; code?: string | number };
    return message === undefined ? undefined : [name, code, message].filter((part) => part !== undefined).join(": ");
  } catch {
    return undefined;
  }
}
