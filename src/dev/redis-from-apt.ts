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
  const settings = {
    State: folder,
    "State::lists": join(folder, "lists"),
    "State::status": "/var/lib/dpkg/status",
    Cache: join(folder, "cache"),
  };
  return Object.entries(settings).flatMap(([key, value]) => ["-o", `Dir::${key}=${value}`]);
}

/** Downloads the first of the packages that the lists know, with what it needs and the machine has not. */
function download(draft: string, settings: readonly string[]): boolean {
  const installed = installedPackages();
  for (const name of PACKAGES) {
    const wanted = new Set([name]); // itself even where it is installed, since that may be without the server
    for (const one of wanted) {
      for (const options of alternatives(one, settings)) {
        const isThere = options.some((option) => installed.has(option) || wanted.has(option));
        if (!isThere && options[0] !== undefined) wanted.add(options[0]);
      }
    }
    const got = spawnSync("apt-get", [...settings, "-qq", "download", ...wanted], { cwd: draft, encoding: "utf8" });
    if (got.status === 0) return true;
  }
  return false;
}

/** What a package depends on: each a list of packages of which one will do. */
function alternatives(name: string, settings: readonly string[]): string[][] {
  const asked = spawnSync("apt-cache", [...settings, "depends", ...ONLY_DEPENDS, name], { encoding: "utf8" });
  const groups: string[][] = [];
  let isOpen = false;
  // " |Depends: a" says that the next line is an alternative; <name> is a virtual package, whose providers are indented.
  for (const [, bar, option = ""] of (asked.stdout ?? "").matchAll(/^ ([ |])(?:Pre)?Depends: (\S+)/gm)) {
    if (!isOpen) groups.push([]);
    if (!option.startsWith("<")) groups.at(-1)?.push(option);
    isOpen = bar === "|";
  }
  return groups;
}

function installedPackages(): Set<string> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const asked = spawnSync("dpkg-query", ["-W", "-f", "${db:Status-Status} ${Package}\n"], { encoding: "utf8" });
  const lines = (asked.stdout ?? "").split("\n").filter((line) => line.startsWith("installed "));
  return new Set(lines.map((line) => line.slice("installed ".length)));
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
