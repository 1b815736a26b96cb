import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ended, startTasktrail } from "../src/cli/tasktrail.ts";
import { openLedger, type TestLedger } from "../support/ledger.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";

const orders = fileURLToPath(new URL("fixtures/orders.ts", import.meta.url));
const shopFront = fileURLToPath(new URL("fixtures/shop-front.ts", import.meta.url));

/** Processes of the application in `fixtures/`, each with telemetry of its own. */
export interface Scene extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  readonly ledger: TestLedger;
  /** The module that declares the tasks. */
  readonly application: string;
  /** Starts `tasktrail ROLE orders.ts` under a service name, and waits until it works. */
  role(role: string, service: string): Promise<RoleProcess>;
  /** Starts the web application, and returns its URL. */
  front(): Promise<{ readonly url: string; stop(): Promise<number | null> }>;
}

/** A role in a process of its own. */
export interface RoleProcess {
  readonly log: () => string;
  /** Ends it by a signal, and gives its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/** Sets the scene in a namespace and a database of its own; `telemetry` are the variables that say where spans go. */
export async function setScene(telemetry: Readonly<Record<string, string>>): Promise<Scene> {
  const env = {
    REDIS_URL: await testRedis(),
    DATABASE_URL: await testDatabase(),
    TASKTRAIL_NAMESPACE: testNamespace(),
    LOG_LEVEL: "info",
    ...telemetry,
  };
  const ledger = await openLedger(env.REDIS_URL, env.TASKTRAIL_NAMESPACE);
  const fronts: ChildProcess[] = [];
  return {
    env,
    ledger,
    application: orders,
    role: (role, service) => startRole([role, orders, "--lease", "2s"], { ...env, OTEL_SERVICE_NAME: service }),
    async front() {
      const child = startFront({ ...env, OTEL_SERVICE_NAME: "shop-front" });
      fronts.push(child);
      const died = once(child, "exit").then(([code]) => assert.fail(`the web application ended with ${code}`));
      const [port] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), died])) as [Buffer];
      died.catch(() => {}); // later it may
      return { url: `http://127.0.0.1:${Number(port)}`, stop: () => endOf(child) };
    },
    async [Symbol.asyncDispose]() {
      for (const child of fronts) child.kill("SIGKILL");
      await ledger[Symbol.asyncDispose]();
    },
  };
}

async function startRole(args: readonly string[], env: Readonly<Record<string, string>>): Promise<RoleProcess> {
  const child = startTasktrail(args, { env });
  let log = "";
  child.stderr?.on("data", (chunk) => {
    log += String(chunk);
  });
  const end = ended(child);
  const isReady = () => (child.exitCode === null ? /worker is ready/.test(log) : assert.fail(log));
  await eventually(isReady, { timeoutMs: 60_000 });
  return {
    log: () => log,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      return (await end).code;
    },
  };
}

function startFront(env: Readonly<Record<string, string>>): ChildProcess {
  const { NODE_TEST_CONTEXT: _runner, ...rest } = process.env;
  const flags = ["--conditions=tasktrail-source", "--import", "tasktrail/otel"];
  return spawn(process.execPath, [...flags, shopFront], {
    env: { ...rest, NODE_OPTIONS: "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function endOf(child: ChildProcess): Promise<number | null> {
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}
