import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the servers of a running `npm start` are. */
export interface Endpoints {
  readonly redis: string;
  readonly postgres: string;
}

/** Tells other programs of this checkout where the servers are, for as long as they run. Only the user may read it: it holds their passwords. */
export function tellEndpoints(folder: string, endpoints: Endpoints): Disposable {
  const file = join(folder, "endpoints.json");
  writeFileSync(file, JSON.stringify({ ...endpoints, pid: process.pid }), { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** Where the servers of a running `npm start` are; undefined when none runs here. */
export function toldEndpoints(folder: string): Endpoints | undefined {
  try {
    const told = JSON.parse(readFileSync(join(folder, "endpoints.json"), "utf8")) as Endpoints & {
      readonly pid: number;
    };
    process.kill(told.pid, 0); // throws when that process is gone
    return told;
  } catch {
    return undefined;
  }
}
