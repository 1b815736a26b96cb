// `npm run package [-- --out FOLDER]`: the tarball to publish, tasktrail-VERSION.tgz.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { emit } from "./emit.ts";
import { program } from "./program.ts";
import { root, run } from "./run.ts";

type Manifest = {
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
} & Readonly<Record<string, unknown>>;

await program(async () => {
  const { values } = parseArgs({ options: { out: { type: "string", default: root } } });
  const stage = mkdtempSync(join(tmpdir(), "tasktrail-package-"));
  try {
    const code = await emit(join(stage, "dist"));
    if (code !== 0) return code;
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
    for (const file of manifest.files) {
      if (file !== "dist" && existsSync(join(root, file))) cpSync(join(root, file), join(stage, file));
    }
    writeFileSync(join(stage, "package.json"), `${JSON.stringify(published(manifest), null, 2)}\n`);
    mkdirSync(values.out, { recursive: true });
    const pack = ["pack", stage, "--pack-destination", resolve(values.out), "--loglevel=error"];
    return (await run("npm", pack)).code;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
});

/** What concerns the users of the package, and not its makers: no scripts, and no exports that lead to our sources. */
function published({ scripts: _1, devDependencies: _2, allowScripts: _3, exports, ...rest }: Manifest): object {
  const forUsers = Object.entries(exports).map(([name, conditions]) => {
    if (typeof conditions === "string") return [name, conditions];
    return [
      name,
      Object.fromEntries(Object.entries(conditions).filter(([condition]) => condition !== "tasktrail-source")),
    ];
  });
  return { ...rest, exports: Object.fromEntries(forUsers) };
}
