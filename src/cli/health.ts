import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { disconnect, ready } from "../../streams/connect.ts";
import type { Health, Role } from "../define/role.ts";
import { answerOf } from "../deliver/watch.ts";
import type { Engine } from "../engine.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

/** Where health is served. */
export interface HealthPlace {
  readonly host: string;
  /** 0: any that is free; the log tells which. */
  readonly port: number;
}

/** Whose health is served. */
export interface HealthGiven {
  readonly engine: Engine;
  /** By their names, as in `worker`. */
  readonly roles: Readonly<Record<string, Role>>;
}

/** How long Redis may take to answer before nothing here is ready, in ms. Together under a second: what asks gives up after one, as a rule. */
const CONNECT_MS = 300;
const ANSWER_MS = 400;

/**
 * Serves `GET /live` and `GET /ready`: 200 when all roles of this process are, else 503, with each role's health as JSON. Redis is asked
 * for each `/ready`, so that it is red at once when Redis is away. `/live` stays green then: a restart would not help.
 * Throws CliError when the port cannot be had.
 */
export async function serveHealth(place: HealthPlace, { engine, roles }: HealthGiven): Promise<AsyncDisposable> {
  const isAnswering = await openProbe(engine);
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const send = (status: number, body: object) =>
      answer(response, { status, body, isHead: request.method === "HEAD" });
    if (request.method !== "GET" && request.method !== "HEAD")
      return send(404, { error: "there is GET and HEAD alone" });
    if (pathname === "/live") return sendHealth(send, healthOf(roles, true), "isLive");
    if (pathname !== "/ready") return send(404, { error: "there is /live and /ready" });
    void isAnswering.ask().then((isThere) => sendHealth(send, healthOf(roles, isThere), "isReady"));
  });
  try {
    await listen(server, place);
  } catch (error) {
    isAnswering.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  engine.logger.info({ host: place.host, port }, "health is served at /live and /ready");
  return {
    async [Symbol.asyncDispose]() {
      isAnswering.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

type Healths = Readonly<Record<string, Health>>;

function healthOf(roles: HealthGiven["roles"], isRedisThere: boolean): Healths {
  return Object.fromEntries(
    Object.entries(roles).map(([name, role]) => {
      const { isLive, isReady, lastReadAgeMs } = role.health();
      return [name, { isLive, isReady: isReady && isRedisThere, lastReadAgeMs: Math.round(lastReadAgeMs) }];
    }),
  );
}

function sendHealth(send: (status: number, body: object) => void, body: Healths, mark: "isLive" | "isReady"): void {
  send(Object.values(body).every((health) => health[mark]) ? 200 : 503, body);
}

function answer(
  response: ServerResponse,
  { status, body, isHead }: { readonly status: number; readonly body: object; readonly isHead: boolean },
): void {
  const text = `${JSON.stringify(body)}\n`;
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  response.writeHead(status, { ...headers, "cache-control": "no-store" });
  response.end(isHead ? undefined : text);
}

/** Asks Redis on a connection of its own; those who ask at once share one question. */
async function openProbe(engine: Engine): Promise<{ ask(): Promise<boolean>; close(): void }> {
  const redis = await engine.connect("tool");
  let asking: Promise<boolean> | undefined;
  const ask = async () => {
    try {
      if (!(await ready(redis, CONNECT_MS))) return false;
      await answerOf(redis, redis.time(), ANSWER_MS);
      return true;
    } catch {
      return false;
    } finally {
      asking = undefined;
    }
  };
  return {
    ask() {
      asking ??= ask();
      return asking;
    },
    close: () => disconnect(redis),
  };
}

async function listen(server: Server, { host, port }: HealthPlace): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const said = code === "EADDRINUSE" ? "is in use by another process" : `cannot be listened on (${code})`;
    throw new CliError(code === "EACCES" ? EXIT.denied : EXIT.unavailable, `Port ${port} of ${host} ${said}.`, {
      advice: "Choose another with --health-port or TASKTRAIL_HEALTH_PORT.",
      cause,
    });
  }
}
