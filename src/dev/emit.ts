import { chmodSync, cpSync, existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { root, runTypeScript } from "./run.ts";

const COPIED = ["streams/scripts/**/*.lua", "sql/migrations/*.sql", "src/**/*.mjs"];

/**
 * Emits JavaScript and declarations into a folder, in the layout of the sources, with what they read at run time beside
 * them.
 *
 * @returns the compiler's exit code
 */
export async function emit(folder: string): Promise<number> {
  const { code } = await runTypeScript(["-p", "tsconfig.build.json", "--outDir", folder]);
  if (code !== 0) return code;
  for (const file of globSync(COPIED, { cwd: root, exclude: ["src/dev/**"] })) {
    cpSync(join(root, file), join(folder, file));
  }
  const cli = join(folder, "src/cli/main.js");
  if (existsSync(cli)) chmodSync(cli, 0o755);
  return 0;
}
