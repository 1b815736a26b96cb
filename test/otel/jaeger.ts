import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { scratchFolder } from "../support/programs.ts";
import { eventually } from "../support/servers.ts";
import { type Body, type ReceivedSpan, toSpans } from "./receiver.ts";

/** A Jaeger to send to and to ask. */
export interface Jaeger extends AsyncDisposable {
  /** Where OTLP over HTTP goes. */
  readonly otlp: string;
  /** The spans of a trace, by the stable query API; none when it is not known. */
  trace(traceId: string): Promise<readonly ReceivedSpan[]>;
  services(): Promise<readonly string[]>;
}

/** The Jaeger v2 that the environment names: a binary in JAEGER_BIN, or one that runs, in JAEGER_URL, with OTLP on port 4318 of its host. Undefined when there is none. */
export async function openJaeger(env: NodeJS.ProcessEnv = process.env): Promise<Jaeger | undefined> {
  if (env.JAEGER_URL) {
    const query = env.JAEGER_URL.replace(/\/$/, "");
    const otlp = env.JAEGER_OTLP_URL ?? `http://${new URL(query).hostname}:4318`;
    return { otlp, ...asking(query), [Symbol.asyncDispose]: async () => {} };
  }
  return env.JAEGER_BIN ? startJaeger(env.JAEGER_BIN) : undefined;
}

async function startJaeger(binary: string): Promise<Jaeger> {
  const [otlpPort, httpPort, grpcPort] = await freePorts(3);
  const config = join(scratchFolder("jaeger"), "jaeger.json");
  writeFileSync(config, JSON.stringify(configOf(`${otlpPort}`, `${httpPort}`, `${grpcPort}`)));
  const child = spawn(binary, ["--config", `file:${config}`], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += String(chunk);
  });
  const jaeger = asking(`http://127.0.0.1:${httpPort}`);
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`Jaeger ended with ${child.exitCode}: ${said}`);
      return jaeger.services().then(() => true);
    },
    { timeoutMs: 30_000, everyMs: 100 },
  );
  return { otlp: `http://127.0.0.1:${otlpPort}`, ...jaeger, [Symbol.asyncDispose]: () => end(child) };
}

function asking(query: string): Pick<Jaeger, "trace" | "services"> {
  return {
    async trace(traceId) {
      const response = await fetch(`${query}/api/v3/traces/${traceId}`);
      if (!response.ok) return [];
      const { result } = (await response.json()) as { result?: Body };
      return toSpans(result ?? {});
    },
    async services() {
      const { services } = (await (await fetch(`${query}/api/v3/services`)).json()) as { services?: string[] };
      return services ?? [];
    },
  };
}

/** All in one process, in memory, on loopback. */
function configOf(otlp: string, http: string, grpc: string): object {
  const at = (port: string) => ({ endpoint: `127.0.0.1:${port}` });
  return {
    service: {
      extensions: ["jaeger_storage", "jaeger_query"],
      pipelines: { traces: { receivers: ["otlp"], exporters: ["jaeger_storage_exporter"] } },
      telemetry: { metrics: { level: "none" }, logs: { level: "warn" } },
    },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
      jaeger_query: { storage: { traces: "memory" }, http: at(http), grpc: at(grpc) },
    },
    receivers: { otlp: { protocols: { http: at(otlp) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: "memory" } },
  };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}
