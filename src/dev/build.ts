// `npm run build`: JavaScript and declarations in dist, in the layout of the sources, beside what they read at run time.
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, runTool } from "./run.ts";

const COPIED = ["streams/scripts/*.lua", "sql/migrations/*.sql", "src/**/*.mjs"];

// Built beside dist and then swapped in, so that nobody who builds or reads at the same time meets half of it.
mkdirSync(join(root, ".tasktrail"), { recursive: true });
const draft = mkdtempSync(join(root, ".tasktrail", "build-"));
try {
  const { code } = await runTool("tsc", ["-p", "tsconfig.build.json", "--outDir", draft]);
  if (code === 0) finish();
  process.exitCode = code;
} finally {
  rmSync(draft, { recursive: true, force: true });
}

function finish(): void {
  for (const file of globSync(COPIED, { cwd: root, exclude: ["src/dev/**"] })) {
    cpSync(join(root, file), join(draft, file));
  }
  const cli = join(draft, "src/cli/main.js");
  if (existsSync(cli)) chmodSync(cli, 0o755);
  chmodSync(draft, 0o755);
  const dist = join(root, "dist");
  if (existsSync(dist)) renameSync(dist, `${draft}-old`);
  renameSync(draft, dist);
  rmSync(`${draft}-old`, { recursive: true, force: true });
  console.log("built dist");
}
