import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { test } from "node:test";
import { eventually } from "../support/servers.ts";
import { setScene } from "./scene.ts";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("a worker that is asked to has metrics on a Prometheus endpoint, and sends no spans", async () => {
  const port = await freePort();
  await using scene = await setScene({
    OTEL_METRICS_EXPORTER: "prometheus",
    OTEL_TRACES_EXPORTER: "none",
    OTEL_EXPORTER_PROMETHEUS_HOST: "127.0.0.1",
    OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
  });
  const worker = await scene.role("worker", "w");
  const text = await eventually(async () => {
    const said = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return /tasktrail_queue_workers\{[^}]*\} 1/.test(said) && said;
  });
  assert.match(text, /tasktrail_queue_backlog\{.*messaging_destination_name="default".*\} 0/);
  assert.match(text, /tasktrail_lease_left\{.*\} [12]/);
  assert.match(text, /nodejs_eventloop_delay_p99\{.*\} \d/);
  assert.equal(await worker.stop(), 0);
});
