import assert from "node:assert/strict";
import { test } from "node:test";
import { isTelemetryAsked } from "../../otel/bootstrap.ts";
import { listenToSdk } from "../../otel/complaints.ts";

test("telemetry is asked for by the standard variables, and by nothing else", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" };
  const cases: [Record<string, string>, boolean][] = [
    [{}, false],
    [endpoint, true],
    [{ ...endpoint, OTEL_SDK_DISABLED: "true" }, false],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "none" }, true],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" }, false],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }, true],
    [{ OTEL_TRACES_EXPORTER: "console" }, true],
    [{ OTEL_METRICS_EXPORTER: "prometheus" }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
    [{ OTEL_LOGS_EXPORTER: "otlp" }, true],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:4318/v1/logs" }, true],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:4318/v1/logs", OTEL_LOGS_EXPORTER: "none" }, false],
  ];
  for (const [env, expected] of cases) assert.equal(isTelemetryAsked(env), expected, JSON.stringify(env));
});

test("dropped spans are told at once, and counted; the same complaint comes once in a while", () => {
  const lines: string[] = [];
  let now = 0;
  const complaints = listenToSdk(
    (line) => lines.push(line),
    () => now,
  );
  complaints.logger.debug("maxQueueSize reached, dropping spans");
  complaints.logger.debug("something else");
  complaints.logger.warn("Dropped 12 spans because maxQueueSize reached");
  complaints.logger.warn("Dropped 30 spans because maxQueueSize reached");
  now = 31_000;
  complaints.logger.warn("Dropped 1 spans because maxQueueSize reached");
  complaints.logger.error('{"stack":"Error: x\\n at y","message":"connect ECONNREFUSED","name":"Error"}');
  assert.match(lines[0] as string, /spans are being dropped.*OTEL_BSP_MAX_QUEUE_SIZE/);
  assert.deepEqual(lines.slice(1), [
    "telemetry: 12 spans were dropped (12 in all), since the queue was full",
    "telemetry: 1 spans were dropped (43 in all), since the queue was full (and 1 more of these)",
    "telemetry: Error: connect ECONNREFUSED",
  ]);
  assert.equal(complaints.droppedCount(), 43);
});
