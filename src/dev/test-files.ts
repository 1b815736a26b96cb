import { globSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";

/** The kinds of tests: without I/O, on real servers, and with processes killed. */
export type TestKind = "unit" | "live" | "crash";

/**
 * The test files that a command line asks for, sorted. A filter is a file, a folder, or part of a path; without filters,
 * all of them.
 */
export function testFiles(root: string, filters: readonly string[], kinds: readonly TestKind[]): string[] {
  const all = globSync(`test/**/*.{${kinds.join(",")},}.test.ts`, { cwd: root }).sort();
  if (filters.length === 0) return all;
  const chosen = new Set<string>();
  for (const filter of filters) {
    const path = relative(root, resolve(root, filter));
    if (statSync(join(root, path), { throwIfNoEntry: false })?.isFile()) chosen.add(path);
    for (const file of all) if (file.includes(path)) chosen.add(file);
  }
  return [...chosen].sort();
}
