import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";

const folder = new URL("../../otel/", import.meta.url);
const read = <T>(name: string) => parse(readFileSync(new URL(name, folder), "utf8")) as T;

interface Service {
  readonly image: string;
  readonly ports: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[];
}
interface Pipeline {
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
}
interface Collector {
  readonly receivers: Readonly<Record<string, unknown>>;
  readonly processors: Readonly<Record<string, unknown>>;
  readonly exporters: Readonly<Record<string, { readonly endpoint?: string } | null>>;
  readonly service: { readonly pipelines: Readonly<Record<string, Pipeline>> };
}

const { services } = read<{ readonly services: Readonly<Record<string, Service>> }>("compose.yaml");
const collector = read<Collector>("collector.yaml");

test("what is brought up is of a named version, on this machine alone, and of files that are there", () => {
  for (const [name, { image, ports, volumes = [], depends_on = [] }] of Object.entries(services)) {
    assert.match(image, /^[a-z/-]+:v?\d+(\.\d+)*$/, name);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
    for (const other of depends_on) assert.ok(other in services, `${name} depends on ${other}`);
    for (const volume of volumes) {
      const [path = "", at = "", mode] = volume.split(":");
      assert.ok(existsSync(new URL(path, folder)), `${name}: ${path}`);
      assert.deepEqual([at.startsWith("/"), mode], [true, "ro"], volume);
    }
  }
  const all = Object.values(services).flatMap(({ ports }) => ports.map((port) => port.split(":")[1]));
  assert.equal(new Set(all).size, all.length);
});

test("the collector takes all signals, and has each part that its pipelines name", () => {
  const { pipelines } = collector.service;
  assert.deepEqual(Object.keys(pipelines).sort(), ["logs", "metrics", "traces"]);
  for (const pipeline of Object.values(pipelines))
    for (const part of ["receivers", "processors", "exporters"] as const)
      for (const name of pipeline[part]) assert.ok(name in collector[part], `${part} ${name}`);
});

test("each is looked for where another is: the collector's exporters, Prometheus' target, Grafana's sources", () => {
  const { exporters } = collector;
  assert.equal(exporters["otlp/jaeger"]?.endpoint, "jaeger:4317");
  const port = exporters.prometheus?.endpoint?.split(":")[1];
  const {
    scrape_configs: [scraped],
  } = read<{
    readonly scrape_configs: readonly [{ readonly static_configs: readonly { readonly targets: readonly string[] }[] }];
  }>("prometheus.yaml");
  assert.deepEqual(scraped.static_configs, [{ targets: [`collector:${port}`] }]);
  const { datasources } = read<{ readonly datasources: readonly { readonly uid: string; readonly url: string }[] }>(
    "grafana/datasources.yaml",
  );
  for (const { url } of datasources) assert.ok(new URL(url).hostname in services, url);
  const dashboard = readFileSync(new URL("grafana/tasktrail.json", folder), "utf8");
  for (const [, uid] of dashboard.matchAll(/"type": "prometheus",\s+"uid": "(\w+)"/g))
    assert.ok(
      datasources.some((one) => one.uid === uid),
      uid,
    );
  const [path] = read<{ readonly providers: readonly { readonly options: { readonly path: string } }[] }>(
    "grafana/dashboards.yaml",
  ).providers.map(({ options }) => options.path);
  assert.ok(services.grafana?.volumes?.some((volume) => volume.includes(`:${path}/`)));
});
