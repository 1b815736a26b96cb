import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./ports.ts";

/** The password of a server, kept beside its data. Of letters and digits only, so that it stands in a URL as it is. */
export function keptPassword(dataDir: string): string {
  const file = join(dataDir, "password");
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  const password = randomBytes(18).toString("hex");
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

/** The port that this folder's server had last time when it is free, so that its URL stays; else any. */
export async function choosePort(dataDir: string): Promise<number> {
  const file = join(dataDir, "port");
  const last = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  const port = await freePort(last > 0 && last < 65_536 ? last : 0);
  writeFileSync(file, `${port}\n`);
  return port;
}
