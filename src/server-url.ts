import { invalidOption } from "./errors.ts";

interface Kind {
  readonly schemes: readonly string[];
  readonly example: string;
}

const kinds = {
  redis: { schemes: ["redis:", "rediss:"], example: "redis://localhost:6379" },
  postgres: { schemes: ["postgres:", "postgresql:"], example: "postgres://localhost:5432/app" },
} as const satisfies Record<string, Kind>;

/** A URL without what is secret in it, for messages and logs. Takes text that is no URL as well. */
export function redacted(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  const rest = text.slice(scheme.length);
  // The last @ ends the credentials: a password may hold an @ that nobody has encoded.
  const at = rest.lastIndexOf("@");
  const shown = at < 0 ? rest : `${rest.slice(0, at).includes(":") ? "***:***" : "***"}${rest.slice(at)}`;
  return scheme + shown.replace(/([?&;][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*/gi, "$1***");
}

/** Throws InvalidOption, with credentials hidden, for what is no URL of such a server. `option` is where it came from. */
export function checkServerUrl(option: string, text: unknown, server: keyof typeof kinds): void {
  const kind: Kind = kinds[server];
  if (typeof text !== "string") throw invalidOption(option, `takes a URL such as ${kind.example}`);
  const problem = problemOf(text, kind);
  if (problem !== undefined) throw invalidOption(option, `${problem} (given: ${redacted(text)})`);
}

function problemOf(text: string, kind: Kind): string | undefined {
  const placeholder = /\$\{[^}]*\}?|\$\(\w+\)|\{\{[^}]*\}?\}?/.exec(text)?.[0];
  if (placeholder !== undefined) return `${placeholder} was not substituted: the file it stands in is taken literally`;
  if (/^["'`].*["'`]$/.test(text)) return "the quotes are part of the value: some tools keep the quotes of .env files";
  if (/\s/.test(text)) return "there is white space in it";
  // An absolute path is a unix socket.
  if (text.startsWith("/") && kind === kinds.redis) return undefined;
  const scheme = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return `it has no scheme: write ${kind.schemes[0]}//${"host:port"}, as in ${kind.example}`;
  if (!kind.schemes.includes(scheme)) {
    return `"${scheme}//" is not its scheme: it begins with ${kind.schemes.map((one) => `"${one}//"`).join(" or ")}`;
  }
  return problemOfParts(text, kind);
}

function problemOfParts(text: string, kind: Kind): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const authority =
    text
      .slice(text.lastIndexOf("@") + 1)
      .replace(/^[a-z]+:\/\//i, "")
      .split(/[/?#]/)[0] ?? "";
  const port = /:([^:\]]+)$/.exec(authority)?.[1];
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) <= 65_535)) {
    return `"${port}" is not a port: 1 to 65535`;
  }
  if (url === undefined) {
    return `it is not a URL, as ${kind.example} is. Special characters of a password have to be encoded: @ as %40, / as %2F, # as %23`;
  }
  if (url.hash !== "") return "it has a #: in a password, write it as %23";
  if (kind === kinds.redis) {
    if (url.hostname === "") return "it names no host";
    const database = url.pathname.slice(1);
    if (!/^\d*$/.test(database)) return `"${database}" is not the number of a database, as in ${kind.example}/0`;
  }
  return undefined;
}
