/** libpq's sslmode → what slonik understands. slonik's `require` also checks the certificate, which is libpq's `verify-full`. */
const SSL_MODES: Readonly<Record<string, "disable" | "require" | "no-verify">> = {
  disable: "disable",
  allow: "disable",
  prefer: "disable",
  "no-verify": "no-verify",
  require: "require",
  "verify-ca": "require",
  "verify-full": "require",
};

const SCHEME = /^postgres(ql)?:\/\//;

/**
 * A Postgres URL as slonik takes it. A unix socket may be given as libpq does (`postgres://user@/db?host=/run/postgresql`) or with the folder as
 * host, percent-encoded; it gets `sslmode=disable`. `allow` and `prefer` mean no TLS, since nothing negotiates here. Throws a TypeError that
 * says what is wrong, without the password.
 */
export function normaliseUrl(given: string, applicationName?: string): string {
  const url = parse(given);
  const isSocket = decodeURIComponent(url.hostname).startsWith("/");
  const mode = url.searchParams.get("sslmode");
  if (mode !== null && SSL_MODES[mode] === undefined) {
    throw new TypeError(`sslmode=${mode} is none of ${Object.keys(SSL_MODES).join(", ")}`);
  }
  if (isSocket) url.searchParams.set("sslmode", "disable");
  else if (mode !== null) url.searchParams.set("sslmode", SSL_MODES[mode] as string);
  if (applicationName !== undefined && !url.searchParams.has("application_name")) {
    url.searchParams.set("application_name", applicationName);
  }
  return url.href;
}

/** Host, port, database and user of a URL, for people. Never the password; never throws. */
export function describeDatabase(given: string): string {
  try {
    const url = parse(given);
    const host = decodeURIComponent(url.hostname) || "localhost";
    const database = decodeURIComponent(url.pathname.slice(1));
    const user = decodeURIComponent(url.username);
    return `${host}${host.startsWith("/") ? "" : `:${url.port || "5432"}`}${database === "" ? "" : `, database "${database}"`}${user === "" ? "" : `, user "${user}"`}`;
  } catch {
    return "an address that cannot be read";
  }
}

function parse(given: string): URL {
  if (!SCHEME.test(given)) throw new TypeError("a database URL looks like postgres://user:password@host:5432/database");
  const rest = given.replace(SCHEME, "");
  const authority = rest.split(/[/?]/, 1)[0] as string;
  if (authority.includes(",")) throw new TypeError("a database URL with several hosts is not supported: name one");
  const at = authority.lastIndexOf("@");
  const socket = /[?&]host=([^&]+)/.exec(rest)?.[1];
  // The standard's parser refuses `user@/database`, so the socket's folder takes the empty place of the host.
  const host =
    authority.slice(at + 1) || (socket === undefined ? "localhost" : encodeURIComponent(decodeURIComponent(socket)));
  try {
    const url = new URL(`postgres://${authority.slice(0, at + 1)}${host}${rest.slice(authority.length)}`);
    url.searchParams.delete("host");
    return url;
  } catch {
    throw new TypeError("the database URL cannot be read; percent-encode what is special in user and password");
  }
}
