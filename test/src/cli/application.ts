import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folders: string[] = [];

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A folder with these files, in which the project's packages can be found; `TASKTRAIL` in them stands for the public module. It goes when the test file ends. */
export function application(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "tasktrail-app-"));
  folders.push(folder);
  const tasktrail = JSON.stringify(join(root, "src/index.ts"));
  for (const [name, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text.replaceAll("TASKTRAIL", tasktrail));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}
