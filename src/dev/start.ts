// `npm start [-- --for 20s]`: the example application on a private Redis and a private Postgres, until Ctrl-C or for so long.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isTelemetryAsked, startTelemetry } from "../../otel/bootstrap.ts";
import { devDataFolder } from "./dev-data.ts";
import { tellEndpoints } from "./endpoints.ts";
import { DevError } from "./errors.ts";
import { program, stopSignal } from "./program.ts";
import { openDevServers, redact, type Servers } from "./servers.ts";

await program(async () => {
  const { values } = parseArgs({ options: { for: { type: "string" } } });
  const forMs = values.for === undefined ? undefined : milliseconds(values.for);
  const asked = stopSignal();
  const loading = import("../../test/examples/shop/demo.ts"); // while the servers start
  loading.catch(() => {});
  await using servers = await openDevServers((line) => console.error(`set-up: ${line}`));
  const folder = devDataFolder();
  using _told = tellEndpoints(folder, { redis: servers.redis.url, postgres: servers.postgres.url });
  const shop = join(folder, "shop");
  const { runDemo } = await loading;
  greet(servers, shop);
  await using _telemetry = isTelemetryAsked() ? await startTelemetry({ report: console.error }) : undefined;
  await using stop = stopAfter(forMs, asked);
  await runDemo(
    { redisUrl: servers.redis.url, databaseUrl: servers.postgres.url, folder: shop, print: console.log },
    stop.signal,
  ).catch(explain);
  return 0;
});

/** Says what to do about errors that a user of a checkout can mend. */
function explain(error: unknown): never {
  const code = (error as { code?: unknown }).code;
  if (code !== "migration_changed" && code !== "database_too_new") throw error;
  throw new DevError(
    `${(error as Error).message}\nThis checkout is another one than made the data: \`npm run reset\` begins anew.`,
  );
}

function greet({ redis, postgres }: Servers, shop: string): void {
  console.log(`
Tasktrail: a small shop at work, with a worker, a scheduler and a projector in this process.

  Redis     ${redis.isOurs ? redis.url : `${redact(redis.url)} (REDIS_URL)`}
  Postgres  ${postgres.isOurs ? postgres.url : `${redact(postgres.url)} (DATABASE_URL)`}
  mail      ${join(shop, "mail")}
  inbox     ${join(shop, "inbox")}   (drop a CSV file with the columns sku,title,price_cents,stock)
  traces    ${traces()}

Ctrl-C stops it; its data stays, and \`npm run reset\` removes it. In another terminal, type next:

  npm run tasktrail -- crons history sync_external_data
  npm run tasktrail -- trigger sync_external_data
  npm run tasktrail -- runs
  npm run tasktrail -- --help
`);
}

function traces(): string {
  if (!isTelemetryAsked()) {
    return `off; they need a collector, as in docker compose -f otel/compose.yaml up, and
            OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm start`;
  }
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: common } = process.env;
  return own || common || "on";
}

/** A signal that is aborted when the user asks to stop, or after so many milliseconds. Its timer keeps the process alive until then. */
function stopAfter(forMs: number | undefined, asked: AbortSignal): AsyncDisposable & { readonly signal: AbortSignal } {
  const over = new AbortController();
  const timer = forMs === undefined ? setInterval(() => {}, 60_000) : setTimeout(() => over.abort("time is up"), forMs);
  return {
    signal: AbortSignal.any([asked, over.signal]),
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
    },
  };
}

function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new DevError(`--for takes a time such as 20s or 5m, not "${text}".`, { exitCode: 64 });
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  return Number(match[1]) * units[match[2] as keyof typeof units];
}
