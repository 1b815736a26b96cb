import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { root } from "./modules.ts";

/** The oldest and the newest TypeScript that users may have. */
export const COMPILERS = { "TypeScript 5.9": "ts59", "TypeScript 7": "typescript" } as const;
/** One of them, by the name of its package. */
export type Compiler = (typeof COMPILERS)[keyof typeof COMPILERS];

/** Something that a compiler has found, in one file. Lines of its continuation are part of the message. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** What a compilation gave. */
export interface Compilation {
  readonly output: string;
  readonly findings: readonly Finding[];
}

const packages = [
  "zod",
  "valibot",
  "arktype",
  "slonik",
  "ioredis",
  "pino",
  "pg",
  "drizzle-orm",
  "kysely",
  "@types/node",
  "@types/pg",
];

/** Makes a folder into a user's project: our declarations are a package of it, as are those that its code imports. */
export async function makeProject(folder: string): Promise<void> {
  const own = join(folder, "node_modules/tasktrail");
  mkdirSync(own, { recursive: true });
  await emitDeclarations(join(own, "dist"));
  cpSync(join(root, "package.json"), join(own, "package.json"));
  for (const name of packages) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
}

async function emitDeclarations(outDir: string): Promise<void> {
  const flags = ["--emitDeclarationOnly", "--outDir", outDir];
  const { output } = await runCompiler("typescript", ["-p", join(root, "tsconfig.build.json"), ...flags]);
  if (output.trim() !== "") throw new Error(`our own code does not compile:\n${output}`);
}

/** Compiles files of a project, as strictly as we compile our own. */
export async function compile(
  compiler: Compiler,
  folder: string,
  { files, options = {}, flags = [] }: { files: readonly string[]; options?: object; flags?: readonly string[] },
): Promise<Compilation> {
  const config = join(folder, `tsconfig.${compiler}.${files.join("+")}.json`);
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  const strict = { ...compilerOptions, customConditions: [], noEmit: true, ...options };
  writeFileSync(config, JSON.stringify({ compilerOptions: strict, files }));
  return runCompiler(compiler, ["-p", config, ...flags]);
}

async function runCompiler(compiler: Compiler, args: readonly string[]): Promise<Compilation> {
  const bin = join(root, "node_modules", compiler, "bin/tsc");
  const child = spawn(process.execPath, [bin, "--pretty", "false", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { output: output + errors, findings: findingsIn(output) };
}

function findingsIn(output: string): Finding[] {
  const findings: Finding[] = [];
  for (const line of output.split("\n")) {
    const start = /^(.+?)\((\d+),\d+\): error (.+)$/.exec(line);
    if (start !== null)
      findings.push({ file: start[1] as string, line: Number(start[2]), message: start[3] as string });
    else if (/^ {2}/.test(line) && findings.length > 0) {
      const last = findings.pop() as Finding;
      findings.push({ ...last, message: `${last.message}\n${line}` });
    }
  }
  return findings;
}

/** How many types a compilation has worked out, by `--extendedDiagnostics`: the same on every machine, as time is not. */
export function instantiationsIn({ output }: Compilation): number {
  const found = /^Instantiations:\s+([\d,]+)/m.exec(output)?.[1];
  if (found === undefined) throw new Error(`no count of instantiations in:\n${output}`);
  return Number(found.replaceAll(",", ""));
}
