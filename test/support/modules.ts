import { globSync, readFileSync } from "node:fs";
import { posix, resolve } from "node:path";
import ts from "ts6";

/** The checkout. */
export const root: string = resolve(import.meta.dirname, "../..");

/** One import, re-export, dynamic import or import type of a module. */
export type Import = {
  /** As written. */
  readonly specifier: string;
  /** For a relative import: the file meant, from the checkout. */
  readonly target?: string;
  /** Whether it leaves nothing behind at run time. */
  readonly isType: boolean;
  /** Whether the module is loaded only when the code gets there. */
  readonly isLazy: boolean;
};

/** A source file with what the rules ask about it. */
export type Module = {
  /** From the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
};

/** Reads the modules that match, from the checkout. */
export function readModules(patterns: string[]): Module[] {
  // Declaration files describe what others wrote.
  const paths = globSync(patterns, { cwd: root, exclude: ["**/node_modules/**", "**/*.d.ts"] });
  return paths.sort().map((path) => parseModule(path.replaceAll("\\", "/"), readFileSync(resolve(root, path), "utf8")));
}

/** Parses one module. */
export function parseModule(path: string, text: string): Module {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return { path, text, tree, imports: findImports(path, tree) };
}

/** Every node of a tree, in the order of the text. On a stack of its own: nested generators hand each node up through all of them. */
export function* nodesOf(top: ts.Node): Generator<ts.Node> {
  const waiting = [top];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    yield node;
    const from = waiting.length;
    ts.forEachChild(node, (child) => void waiting.push(child));
    for (let low = from, high = waiting.length - 1; low < high; low++, high--) {
      [waiting[low], waiting[high]] = [waiting[high] as ts.Node, waiting[low] as ts.Node];
    }
  }
}

function findImports(path: string, tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, isType: boolean, isLazy = false) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const target = posix.join(posix.dirname(path), specifier.text);
    found.push({ specifier: specifier.text, isType, isLazy, ...(specifier.text.startsWith(".") ? { target } : {}) });
  };
  // Only dynamic imports and import types stand deeper than the statements of the file.
  for (const node of /\bimport\s*\(/.test(tree.text) ? nodesOf(tree) : tree.statements) {
    // `import { type X }` is not a type import: verbatimModuleSyntax leaves `import {}` in its place.
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly === true);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false, true);
    }
  }
  return found;
}
