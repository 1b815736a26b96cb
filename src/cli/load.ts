import { globSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Broker } from "../define/broker.ts";
import { didYouMean } from "../define/spelling.ts";
import { type Engine, engineOf, isBroker } from "../engine.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { importModule } from "./import-module.ts";

/** An application: its broker, and where that was found. */
export interface Application {
  readonly broker: Broker;
  readonly engine: Engine;
  /** As it was given, for messages. */
  readonly name: string;
  /** Files that were imported. */
  readonly files: readonly string[];
}

/** What names an application on the command line. */
export interface ApplicationName {
  /** `path[#export]`. */
  readonly app: string;
  /** More modules that declare tasks; globs are allowed. */
  readonly modules?: readonly string[];
  readonly cwd: string;
}

/** Extensions that are tried when a path has none. */
const EXTENSIONS = ["", ".ts", ".mts", ".js", ".mjs", ".cts", ".cjs", "/index.ts", "/index.js"];

/**
 * Imports an application and its further modules, and finds its broker: the export that was named, else `broker`, else the
 * default export, else the only broker among the exports. Throws CliError.
 */
export async function loadApplication({ app, modules = [], cwd }: ApplicationName): Promise<Application> {
  const [path = "", wanted] = splitName(app);
  const file = findFile(path, cwd);
  const further = modules.flatMap((pattern) => findModules(pattern, cwd));
  const exported = await importModule(file, { shown: relative(cwd, file), cwd });
  for (const module of further) await importModule(module, { shown: relative(cwd, module), cwd });
  const broker = chooseBroker(exported, { wanted, shown: relative(cwd, file) });
  return { broker, engine: engineOf(broker), name: app, files: [file, ...further] };
}

/** Throws CliError unless the application declares something to do; `kind` says what. */
export function requireTasks({ engine, name, files }: Application, kind: "task" | "cron"): void {
  const found = engine.records.filter(({ run, cron }) => run !== undefined && (kind === "task" || cron !== undefined));
  if (found.length > 0) return;
  const looked =
    files.length === 1 ? "that module and what it imports" : `${files.length} modules and what they import`;
  throw new CliError(EXIT.config, `No ${kind} is declared on the broker of ${name}, in ${looked}.`, {
    advice: `A ${kind} exists once its module has run: import it in ${name}, or name its module as well: tasktrail ${
      kind === "task" ? "worker" : "scheduler"
    } ${name} "src/**/*.tasks.ts"`,
  });
}

/** A `#` in a folder's name is left alone: an export's name has no slash and no dot. */
function splitName(app: string): [path: string, wanted?: string] {
  const found = /^(.+)#([^/\\.]+)$/.exec(app);
  return found === null ? [app] : [found[1] as string, found[2] as string];
}

function findFile(path: string, cwd: string): string {
  const tried = EXTENSIONS.map((extension) => resolve(cwd, path) + extension);
  const file = tried.find((one) => statSync(one, { throwIfNoEntry: false })?.isFile());
  if (file !== undefined) return file;
  throw new CliError(EXIT.config, `There is no module ${path}: looked for ${tried[0]}${similar(tried[0] as string)}`, {
    advice: "APP is the path of a module that exports a broker, as in ./src/tasks.ts or ./src/tasks.ts#broker.",
  });
}

function similar(path: string): string {
  try {
    return didYouMean(basename(path), readdirSync(dirname(path)));
  } catch {
    return `, and there is no folder ${dirname(path)}`;
  }
}

function findModules(pattern: string, cwd: string): string[] {
  if (statSync(resolve(cwd, pattern), { throwIfNoEntry: false })?.isFile()) return [resolve(cwd, pattern)];
  const isWanted = (file: string) => /\.[cm]?[jt]s$/.test(file) && !/\.d\.[cm]?ts$/.test(file);
  const files = globSync(pattern, { cwd, exclude: ["**/node_modules/**"] }).filter(isWanted);
  if (files.length > 0) return files.sort().map((file) => join(cwd, file));
  if (!/[*?[{]/.test(pattern)) return [findFile(pattern, cwd)];
  throw new CliError(EXIT.config, `No module matches ${pattern} in ${cwd}.`, {
    advice: "Quote a pattern, so that the shell leaves it as it is.",
  });
}

function chooseBroker(exported: object, { wanted, shown }: { wanted: string | undefined; shown: string }): Broker {
  const all = exportsOf(exported);
  if (wanted !== undefined) {
    const found = all.get(wanted);
    if (isBroker(found)) return found;
    const what = all.has(wanted) ? `"${wanted}" of ${shown} is no broker` : `${shown} has no export "${wanted}"`;
    throw new CliError(EXIT.config, `${what}; it exports ${listed(all)}${didYouMean(wanted, all.keys())}`);
  }
  const brokers = [...all].filter(([, value]) => isBroker(value));
  const chosen = brokers.find(([name]) => name === "broker") ?? brokers.find(([name]) => name === "default");
  const [only] = brokers;
  if (chosen !== undefined) return chosen[1] as Broker;
  if (only !== undefined && brokers.every(([, value]) => value === only[1])) return only[1] as Broker;
  if (only === undefined) {
    throw new CliError(EXIT.config, `${shown} exports no broker; it exports ${listed(all)}.`, {
      advice: "Export what createBroker() returned, as in: export const broker = createBroker();",
    });
  }
  throw new CliError(EXIT.config, `${shown} exports several brokers: ${brokers.map(([name]) => name).join(", ")}.`, {
    advice: `Name one: ${shown}#${brokers[0]?.[0]}`,
  });
}

/** Exports by name. Of a CommonJS module they are the properties of its default. */
function exportsOf(exported: object): Map<string, unknown> {
  const all = new Map<string, unknown>(Object.entries(exported));
  const { default: whole } = exported as { default?: unknown };
  if (typeof whole !== "object" || whole === null || isBroker(whole)) return all;
  for (const [name, value] of Object.entries(whole)) if (!all.has(name)) all.set(name, value);
  return all;
}

function listed(all: ReadonlyMap<string, unknown>): string {
  const names = [...all.keys()].filter((name) => name !== "module.exports" && name !== "__esModule");
  return names.length === 0 ? "nothing" : names.slice(0, 12).join(", ") + (names.length > 12 ? ", …" : "");
}
