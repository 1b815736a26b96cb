// `npm start [-- --for 20s]`: a private Redis and a private Postgres, until Ctrl-C or for so long.
import { parseArgs } from "node:util";
import { DevError } from "./errors.ts";
import { program, stopSignal } from "./program.ts";
import { openDevServers, redact, type Servers } from "./servers.ts";

await program(async () => {
  const { values } = parseArgs({ options: { for: { type: "string" } } });
  const forMs = values.for === undefined ? undefined : milliseconds(values.for);
  const signal = stopSignal();
  await using servers = await openDevServers((line) => console.error(`set-up: ${line}`));
  greet(servers);
  await stopped(signal, forMs);
  console.log("stopping");
  return 0;
});

function greet({ redis, postgres }: Servers): void {
  console.log(`Redis     ${redis.isOurs ? redis.url : `${redact(redis.url)} (REDIS_URL)`}`);
  console.log(`Postgres  ${postgres.isOurs ? postgres.url : `${redact(postgres.url)} (DATABASE_URL)`}`);
  console.log("Ctrl-C stops them. Their data stays; `npm run reset` removes it.");
}

/** Resolves when the user asks to stop, or after so many milliseconds. */
function stopped(signal: AbortSignal, forMs: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    // A timer in any case: a signal alone does not keep Node running.
    const timer = forMs === undefined ? setInterval(() => {}, 60_000) : setTimeout(done, forMs);
    function done() {
      clearTimeout(timer);
      resolve();
    }
    if (signal.aborted) done();
    signal.addEventListener("abort", done, { once: true });
  });
}

function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new DevError(`--for takes a time such as 20s or 5m, not "${text}".`, { exitCode: 64 });
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  return Number(match[1]) * units[match[2] as keyof typeof units];
}
