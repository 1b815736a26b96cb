// `npm run build`: the package's JavaScript and declarations, in dist.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { emit } from "./emit.ts";
import { program } from "./program.ts";
import { root } from "./run.ts";

await program(async () => {
  // Emitted beside dist and then put in its place, so that nobody who reads it meanwhile meets half of it.
  mkdirSync(join(root, ".tasktrail"), { recursive: true });
  const draft = mkdtempSync(join(root, ".tasktrail", "build-"));
  try {
    const code = await emit(draft);
    if (code !== 0) return code;
    const dist = join(root, "dist");
    chmodSync(draft, 0o755);
    if (existsSync(dist)) renameSync(dist, `${draft}-old`);
    renameSync(draft, dist);
    console.log("built dist");
    return 0;
  } finally {
    for (const folder of [draft, `${draft}-old`]) rmSync(folder, { recursive: true, force: true });
  }
});
