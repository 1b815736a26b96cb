import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, fillOnce } from "./cache.ts";
import { DevError } from "./errors.ts";

// Debian's redis-tools holds the server's program too, and valkey-tools that of Valkey.
const PACKAGES = ["redis-tools", "valkey-tools"];
const PROGRAMS = ["redis-check-rdb", "valkey-check-rdb"]; // becomes the server when called by the server's name

const ONLY_DEPENDS = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
  (kind) => `--no-${kind}`,
);

/** Whether Debian's package tools are here. */
export function hasApt(): boolean {
  return existsSync("/usr/bin/apt-get") && existsSync("/usr/bin/dpkg-deb");
}

/**
 * Unpacks the distribution's own Redis into the cache: 1.5 MB, a few seconds, once. Needs no root and installs nothing;
 * apt checks the signatures.
 */
export async function unpackFromApt(report: (line: string) => void): Promise<{ path: string; env: NodeJS.ProcessEnv }> {
  const folder = join(cacheFolder(), `redis-${distribution()}-${process.arch}`);
  await fillOnce(folder, (draft) => {
    report("no Redis on this machine: unpacking the distribution's own into the cache (1.5 MB, once)");
    const lists = join(draft, ".lists");
    try {
      // The machine's package lists may be empty (slim containers) or too old to download by: then use lists of our own.
      if (!download(draft, [])) {
        report("the package lists are empty or old: fetching new ones into the cache (10 MB, removed afterwards)");
        const own = privateLists(lists);
        run("apt-get", [...own, "-qq", "update"], draft);
        if (!download(draft, own)) throw new DevError("apt-get could not download Redis. Is the network there?");
      }
      unpack(draft);
    } finally {
      rmSync(lists, { recursive: true, force: true });
    }
  });
  const path = find(folder, (name) => name === "redis-server" || name === "valkey-server")[0];
  if (path === undefined) throw new DevError(`${folder} holds no Redis server. Remove it and try again.`);
  return { path, env: { LD_LIBRARY_PATH: libraryFolders(folder).join(":") } };
}

function distribution(): string {
  const release = readFileSync("/etc/os-release", "utf8");
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, "m").exec(release)?.[1] ?? "unknown";
  return `${value("ID")}${value("VERSION_ID")}`;
}

function privateLists(folder: string): string[] {
  mkdirSync(join(folder, "lists", "partial"), { recursive: true });
  mkdirSync(join(folder, "cache", "archives", "partial"), { recursive: true });
  const settings = { State: folder, "State::status": "/var/lib/dpkg/status", Cache: join(folder, "cache") };
  return Object.entries(settings).flatMap(([key, value]) => ["-o", `Dir::${key}=${value}`]);
}

/** Downloads the first of the packages that the lists know, with what it needs and the machine has not. */
function download(draft: string, settings: readonly string[]): boolean {
  for (const name of PACKAGES) {
    const needs = spawnSync("apt-cache", [...settings, "depends", "--recurse", ...ONLY_DEPENDS, name], {
      encoding: "utf8",
    });
    const packages = missing((needs.stdout ?? "").split("\n").filter((line) => /^[a-z0-9][a-z0-9.+-]*$/.test(line)));
    if (!packages.includes(name)) continue;
    const got = spawnSync("apt-get", [...settings, "-qq", "download", ...packages], { cwd: draft, encoding: "utf8" });
    if (got.status === 0) return true;
  }
  return false;
}

function missing(packages: readonly string[]): string[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const installed = spawnSync("dpkg-query", ["-W", "-f", "${db:Status-Status} ${Package}\n"], { encoding: "utf8" });
  const present = new Set((installed.stdout ?? "").split("\n").map((line) => line.replace(/^installed /, "")));
  // redis-tools itself is wanted even where it is installed without the server.
  return packages.filter((name) => PACKAGES.includes(name) || !present.has(name));
}

function unpack(draft: string): void {
  for (const archive of readdirSync(draft).filter((name) => name.endsWith(".deb"))) {
    run("dpkg-deb", ["-x", archive, "."], draft);
    rmSync(join(draft, archive));
  }
  const program = find(draft, (name) => PROGRAMS.includes(name))[0];
  if (program === undefined) throw new DevError("The downloaded packages hold no Redis server.");
  const server = program.replace(/check-rdb$/, "server");
  if (!existsSync(server)) run("cp", ["-p", program, server], draft);
}

function libraryFolders(folder: string): string[] {
  return [...new Set(find(folder, (name) => /\.so(\.|$)/.test(name)).map((path) => join(path, "..")))];
}

function find(folder: string, wanted: (name: string) => boolean): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && wanted(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function run(command: string, args: readonly string[], cwd: string): void {
  const result = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (result.status === 0) return;
  throw new DevError(`${command} failed: ${(result.stderr || result.error?.message || "").trim()}`);
}
