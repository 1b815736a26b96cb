import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isTasktrailError } from "../errors.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

/** How a module is called in messages, and whose tsx may help. */
export interface ImportContext {
  readonly shown: string;
  readonly cwd: string;
}

/** Codes of errors that a module may give because Node runs TypeScript only in part. */
const TYPESCRIPT = new Set([
  "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX",
  "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING",
  "ERR_INVALID_TYPESCRIPT_SYNTAX",
  "ERR_UNKNOWN_FILE_EXTENSION",
  "ERR_MODULE_NOT_FOUND",
  "ERR_UNSUPPORTED_DIR_IMPORT",
  "MODULE_NOT_FOUND",
]);

/**
 * Imports a module, TypeScript as Node runs it. What Node cannot run by itself (enums, decorators, imports without extension,
 * paths of tsconfig) is tried again with the project's own tsx, when it has one. Throws CliError with the original error's first line.
 */
export async function importModule(file: string, context: ImportContext): Promise<object> {
  const url = pathToFileURL(file).href;
  try {
    return (await import(url)) as object;
  } catch (error) {
    if (!mayBeTypeScript(error)) throw failed(error, context);
    const tsx = await registerTsx(context.cwd);
    if (tsx === "absent") throw failed(error, context, NO_TSX);
    try {
      return (await import(url)) as object;
    } catch (second) {
      throw failed(second, context);
    }
  }
}

const NO_TSX =
  "Node runs TypeScript by taking its types away: enums, decorators and imports without .ts need a loader. Install one in this project, and it is used: npm install --save-dev tsx";

function mayBeTypeScript(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return (typeof code === "string" && TYPESCRIPT.has(code)) || error instanceof SyntaxError;
}

/** Puts the tsx of the project, looked for from its folder, in front of Node's own loader. */
async function registerTsx(cwd: string): Promise<"registered" | "absent"> {
  const require = createRequire(join(cwd, "package.json"));
  try {
    const esm = (await import(pathToFileURL(require.resolve("tsx/esm/api")).href)) as { register(): unknown };
    const cjs = (await import(pathToFileURL(require.resolve("tsx/cjs/api")).href)) as { register(): unknown };
    esm.register();
    cjs.register();
    return "registered";
  } catch {
    return "absent";
  }
}

function failed(error: unknown, { shown }: ImportContext, advice?: string): CliError {
  const what = `${shown} could not be imported: ${saidBy(error)}${placeOf(error)}`;
  return new CliError(EXIT.config, what, { cause: error, ...(advice === undefined ? {} : { advice }) });
}

function saidBy(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isTasktrailError(error)) return error.message;
  const [first = "", second = ""] = error.message.split("\n");
  // What tsx says of a syntax error has the place and the mistake in its second line.
  return error.name === "TransformError" ? second : `${error.name}: ${first}`;
}

/** Where the application threw: what Node puts above the stack, or the first line of it that is neither Node's nor of a package. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const [above = "", ...lines] = stack.split("\n");
  const frame = lines.find((line) => /^\s+at /.test(line) && !/node:|node_modules|\/src\/cli\//.test(line));
  const found =
    /^((?:file:\/\/|\/)\S+:\d+)$/.exec(above)?.[1] ?? /\(?((?:file:\/\/|\/)[^()]+:\d+:\d+)\)?$/.exec(frame ?? "")?.[1];
  return found === undefined ? "" : `\n  at ${found.replace(/^file:\/\//, "")}`;
}
