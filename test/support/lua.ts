import luaparse from "luaparse";

const KNOWN_GLOBALS = new Set(
  (
    "redis cjson cmsgpack struct bit KEYS ARGV string table math tonumber tostring type " +
    "ipairs pairs next unpack select error assert pcall"
  ).split(" "),
);
const MOST_CODE_LINES = 80;
// Not the place of a key: these take none there.
const KEYLESS = new Set(["TIME", "XREAD", "XREADGROUP", "PUBLISH", "SCAN"]);

// luaparse's own types are a union of some forty interfaces; a rule that looks for a pattern reads better over plain nodes.
type Node = { type: string; isLocal?: boolean; name?: string; value?: unknown } & Record<string, unknown>;

/** What is wrong with a Redis script, one sentence each; empty when all is well. */
export function lintScript(text: string): string[] {
  let chunk: Node;
  try {
    const parsed = luaparse.parse(text, {
      luaVersion: "5.1",
      scope: true,
      comments: false,
      encodingMode: "x-user-defined",
    });
    chunk = parsed as unknown as Node;
  } catch (error) {
    return [`is not Lua 5.1: ${(error as Error).message}`];
  }
  const nodes = [...nodesOf(chunk)];
  return [...header(text), ...length(text), ...globals(chunk, nodes), ...nodes.flatMap((node) => calls(node, nodes))];
}

function header(text: string): string[] {
  const comment = /^(?:--.*\n)*/.exec(text)?.[0] ?? "";
  const breaches = [];
  if (!/^-- [A-Z][^\n]{20,}\n/.test(comment)) breaches.push("does not begin with a comment that says what it does");
  for (const part of ["KEYS:", "ARGV:"]) {
    if (!comment.includes(`\n-- ${part}`)) breaches.push(`has no "-- ${part}" line in its first comment`);
  }
  return breaches;
}

function length(text: string): string[] {
  const code = text.split("\n").filter((line) => !/^\s*(--.*)?$/.test(line));
  return code.length > MOST_CODE_LINES ? [`has ${code.length} lines of code; it holds more than one transition`] : [];
}

function globals(chunk: Node, nodes: readonly Node[]): string[] {
  const used = (chunk.globals as Node[]).map(({ name }) => name as string);
  const unknown = [...new Set(used)].filter((name) => !KNOWN_GLOBALS.has(name));
  const assigned = nodes.flatMap((node) => {
    if (node.type === "AssignmentStatement") return node.variables as Node[];
    return node.type === "FunctionDeclaration" && !node.isLocal && node.identifier ? [node.identifier as Node] : [];
  });
  return [
    ...unknown.map((name) => `uses the global ${name}`),
    ...assigned
      .filter((one) => one.type === "Identifier" && !one.isLocal)
      .map(({ name }) => `assigns the global ${name}`),
  ];
}

function calls(node: Node, nodes: readonly Node[]): string[] {
  if (node.type !== "CallExpression" && node.type !== "StringCallExpression") return [];
  const callee = node.base as Node;
  const [owner, name] = [(callee.base as Node | undefined)?.name, (callee.identifier as Node | undefined)?.name];
  if (owner !== "redis") return [];
  const [first, second] = (node.arguments as Node[] | undefined) ?? [node.argument as Node];
  if (name === "error_reply" && first?.type !== "StringLiteral")
    return ["gives error_reply a text that is not constant"];
  if ((name !== "call" && name !== "pcall") || second === undefined) return [];
  const command = /\w+/.exec(String((first as Node & { raw?: string }).raw))?.[0]?.toUpperCase() ?? "";
  return !KEYLESS.has(command) && isBuilt(second, nodes) ? [`builds the key of ${command} from text`] : [];
}

/** Whether an expression is put together with `..`, itself or where its variable is declared. */
function isBuilt(expression: Node, nodes: readonly Node[]): boolean {
  if (expression.type === "BinaryExpression" && expression.operator === "..") return true;
  if (expression.type !== "Identifier") return false;
  return nodes.some((node) => {
    if (node.type !== "LocalStatement" && node.type !== "AssignmentStatement") return false;
    const at = (node.variables as Node[]).findIndex(({ name }) => name === expression.name);
    const value = (node.init as Node[])[at];
    return at >= 0 && value?.type === "BinaryExpression" && value.operator === "..";
  });
}

function* nodesOf(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const one of value) yield* nodesOf(one);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return;
  if (typeof (value as Node).type === "string") yield value as Node;
  for (const [name, child] of Object.entries(value)) if (name !== "globals") yield* nodesOf(child);
}
