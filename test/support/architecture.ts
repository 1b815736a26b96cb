import { posix } from "node:path";
import ts from "ts6";
import { type Import, type Module, nodesOf } from "./modules.ts";

/** A rule of the house: takes modules, gives a sentence for each breach. */
export type Rule = (modules: readonly Module[]) => string[];

const EDGE = /^src\/(cli|dev|dashboard)\//;
const ENTRIES = /^src\/(index|contract|deps|testing)\.ts$/;

/** Which part of the house a file belongs to. */
function partOf(path: string): string {
  return EDGE.test(path) ? "edge" : (path.split("/")[0] as string);
}

const MAY_IMPORT: Readonly<Record<string, (target: string, from: string) => boolean>> = {
  streams: (target) => partOf(target) === "streams",
  sql: (target) => partOf(target) === "sql",
  projections: (target) => ["projections", "streams", "sql"].includes(partOf(target)),
  src: (target, from) =>
    ["src", "streams"].includes(partOf(target)) ||
    (/^src\/(projector|read-events)\.ts$/.test(from) && partOf(target) === "projections") ||
    // Statements that any driver can run: they load no slonik.
    ["sql/outbox-insert.ts", "sql/inbox-statements.ts"].includes(target) ||
    ((from === "src/deps.ts" || from.startsWith("src/relay/")) && partOf(target) === "sql"),
  otel: (target) =>
    partOf(target) === "otel" ||
    [
      "src/middleware.ts",
      "src/current-run.ts",
      "src/left-out.ts",
      "streams/events.ts",
      "streams/trace-ids.ts",
    ].includes(target),
  edge: () => true,
};

/** Who may import whom. Type imports count. */
export const layering: Rule = (modules) =>
  eachImport(modules, (module, { target }) => {
    if (target === undefined) return;
    const part = partOf(module.path);
    const isLegal = MAY_IMPORT[part]?.(target, module.path) ?? true;
    if (!isLegal) return `imports ${target}, which ${part === "src" ? "the core" : `${part}/`} may not know`;
  });

/** Which packages a part may know: Redis is for streams, Postgres for sql, OpenTelemetry for otel. */
export const packages: Rule = (modules) =>
  eachImport(modules, (module, { specifier, isLazy, isType }) => {
    const part = partOf(module.path);
    if (part === "edge") return;
    const name = specifier
      .split("/")
      .slice(0, specifier.startsWith("@") ? 2 : 1)
      .join("/");
    const isStrange =
      (/^(slonik|pg)$/.test(name) && ["streams", "otel"].includes(part)) ||
      (/^(ioredis|redlock)$/.test(name) && ["sql", "projections", "otel"].includes(part)) ||
      (name.startsWith("@opentelemetry/") && part !== "otel") ||
      (name === "@opentelemetry/sdk-node" && module.path !== "otel/bootstrap.ts");
    if (isStrange) return `imports ${name}, which is not its business`;
    const isHeavy = ["slonik", "pino", "ioredis"].includes(name) && module.path === "src/deps.ts";
    if (isHeavy && !isLazy && !isType) return `imports ${name} when it is loaded; it must wait for the first use`;
  });

/** No module imports itself by a detour, types included. */
export const circles: Rule = (modules) => {
  const graph = new Map(modules.map(({ path, imports }) => [path, imports.flatMap(({ target }) => target ?? [])]));
  const done = new Set<string>();
  const breaches: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) breaches.push(`${[...trail.slice(start), path].join(" -> ")} is a circle`);
    if (start >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return breaches;
};

/** Only src/index.ts gathers what others define. */
export const barrels: Rule = (modules) =>
  each(modules, ({ path, tree }) => {
    if (path === "src/index.ts") return [];
    const reExports = tree.statements.filter((one) => ts.isExportDeclaration(one) && one.moduleSpecifier !== undefined);
    const isBarrel = reExports.length > 0 && reExports.length === tree.statements.length && !ENTRIES.test(path);
    const hasStar = reExports.some((one) => ts.isExportDeclaration(one) && one.exportClause === undefined);
    return isBarrel || hasStar || /(^|\/)index\.ts$/.test(path) ? ["is a barrel"] : [];
  });

/** A relative import names the file, as Node needs it. */
export const extensions: Rule = (modules) =>
  eachImport(modules, (_module, { target, specifier }) => {
    if (target !== undefined && !/\.(ts|mjs|json)$/.test(specifier)) return `imports "${specifier}" without its .ts`;
  });

/** A name that says nothing collects everything. */
export const names: Rule = (modules) =>
  each(modules, ({ path }) => {
    const name = posix.basename(path).replace(/\..*$/, "");
    const isVague = path.split("/").some((part) => /^(utils?|helpers?|common|types|lib|misc)(\.|$)/.test(part));
    const isAboutTypes = path.startsWith("test/types/"); // there it is the subject
    const isKebab = /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name);
    return [
      ...(isVague && !isAboutTypes ? ["has a name that says nothing"] : []),
      ...(isKebab ? [] : ["is not named in kebab-case"]),
    ];
  });

/** One subject a file. */
export const size: Rule = (modules) =>
  each(modules, ({ text }) => {
    const lineCount = text.trimEnd().split("\n").length;
    return lineCount > 260 ? [`has ${lineCount} lines; over 260 it is more than one subject`] : [];
  });

/** Types and functions; a class only for an error, or, where it says that it is "of a class", for a type of which there are many at a time (ARCHITECTURE.md, "young"); no enums, no default exports. */
export const shapes: Rule = (modules) =>
  each(modules, ({ tree }) => {
    const breaches: string[] = [];
    for (const node of nodesOf(tree)) {
      if (ts.isEnumDeclaration(node)) breaches.push(`has the enum ${node.name.text}`);
      if (ts.isExportAssignment(node)) breaches.push("has a default export");
      if (ts.canHaveModifiers(node) && hasModifier(node, ts.SyntaxKind.DefaultKeyword))
        breaches.push("has a default export");
      if (ts.isExportSpecifier(node) && node.name.text === "default") breaches.push("has a default export");
      if (ts.isClassLike(node)) {
        const parent = node.heritageClauses?.find((one) => one.token === ts.SyntaxKind.ExtendsKeyword)?.types[0];
        const isError = parent !== undefined && /(^|\.)\w*Error$/.test(parent.expression.getText(tree));
        if (!isError && !isRecord(node))
          breaches.push(`has the class ${node.name?.text ?? "(anonymous)"}, which is no error`);
      }
    }
    return breaches;
  });

function isRecord(node: ts.ClassLikeDeclaration): boolean {
  const isOfType = node.heritageClauses?.every(({ token }) => token === ts.SyntaxKind.ImplementsKeyword) === true;
  return isOfType && ts.getJSDocCommentsAndTags(node).some((doc) => /\bOf a class\b/.test(doc.getText()));
}

/** Every export has a doc comment. */
export const docs: Rule = (modules) =>
  each(modules, ({ tree }) => {
    const described = new Map<string, boolean>();
    const exported = new Set<string>();
    for (const statement of tree.statements) {
      const has = ts.getJSDocCommentsAndTags(statement).length > 0;
      for (const name of declaredNames(statement)) {
        described.set(name, has || described.get(name) === true); // of overloads, one is enough
        if (ts.canHaveModifiers(statement) && hasModifier(statement, ts.SyntaxKind.ExportKeyword)) exported.add(name);
      }
      if (ts.isExportDeclaration(statement) && statement.moduleSpecifier === undefined) {
        const clause = statement.exportClause;
        if (clause !== undefined && ts.isNamedExports(clause)) {
          for (const one of clause.elements) exported.add((one.propertyName ?? one.name).text);
        }
      }
    }
    return [...exported]
      .filter((name) => described.get(name) === false)
      .map((name) => `exports ${name} without a doc comment`);
  });

const KEY_NAMES = "meta|tasks|again|events|scheduled|dead|workers|strikes|cancelled|ended|calls|key|result|cron|lock";
const KEY = new RegExp(`:(${KEY_NAMES})(:|$)|^\\{[^{}]*:[^{}]*\\}`);

/** Redis keys are spelt in streams/keys.ts alone. */
export const keys: Rule = (modules) =>
  each(modules, ({ path, tree }) => {
    if (path === "streams/keys.ts") return [];
    const literals = [...nodesOf(tree)].filter((node) => ts.isStringLiteralLike(node) || isTemplatePart(node));
    const suspects = literals
      .map((node) => (node as ts.LiteralLikeNode).text)
      .filter((text) => KEY.test(text) && !text.startsWith("node:"));
    return suspects.map((text) => `spells the Redis key "${text}"; keys are built in streams/keys.ts`);
  });

/** A contract can be imported anywhere, so it loads nothing but our own files. */
export const contractIsLight: Rule = (modules) => {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const seen = new Set(["src/contract.ts"]);
  const breaches: string[] = [];
  for (const path of seen) {
    for (const { specifier, target, isType } of byPath.get(path)?.imports ?? []) {
      if (isType) continue;
      if (target === undefined) breaches.push(`${path}: imports ${specifier}, and src/contract.ts leads there`);
      else seen.add(target);
    }
  }
  return breaches;
};

/** Tests are named by their kind, and one without I/O asks for no server. */
export const testKinds: Rule = (modules) =>
  each(modules, ({ path, imports }) => {
    if (!path.endsWith(".test.ts")) return [];
    if (!/\.(unit|live|crash)\.test\.ts$/.test(path)) return ["does not say its kind: .unit, .live or .crash"];
    const asksForServers = imports.some(({ target, specifier }) =>
      target === undefined ? /^(ioredis|pg|slonik)$/.test(specifier) : /^test\/support\/servers\.ts$/.test(target),
    );
    return path.includes(".unit.") && asksForServers ? ["is a unit test and asks for a server"] : [];
  });

function each(modules: readonly Module[], check: (module: Module) => readonly string[]): string[] {
  return modules.flatMap((module) => check(module).map((breach) => `${module.path}: ${breach}`));
}

function eachImport(modules: readonly Module[], check: (module: Module, one: Import) => string | undefined): string[] {
  return each(modules, (module) => module.imports.flatMap((one) => check(module, one) ?? []));
}

function hasModifier(node: ts.HasModifiers, kind: ts.SyntaxKind): boolean {
  return ts.getModifiers(node)?.some((modifier) => modifier.kind === kind) === true;
}

function declaredNames(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return isNamed && statement.name !== undefined ? [statement.name.text] : [];
}

function isTemplatePart(node: ts.Node): boolean {
  return ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node);
}
