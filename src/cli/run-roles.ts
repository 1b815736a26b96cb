import { pause } from "../../streams/lane.ts";
import { aborted } from "../aborted.ts";
import type { Role } from "../define/role.ts";
import { runRoles as runTogether } from "../roles.ts";
import { type HealthPlace, serveHealth } from "./health.ts";
import type { Application } from "./load.ts";
import { watchRoles } from "./role-log.ts";
import { stopOnSignal } from "./signals.ts";
import type { Terminal } from "./terminal.ts";

/** What a process is to be. */
export interface RoleSet {
  /** Worker and scheduler, by these names: what makes events. */
  readonly makers: Readonly<Record<string, Role>>;
  /** Stops after the others, so that what they recorded last is in the tables. */
  readonly projector?: Role | undefined;
}

/** How roles are run. */
export interface RolesGiven {
  readonly application: Application;
  readonly terminal: Terminal;
  /** Stop by themselves after so long, in ms. */
  readonly forMs?: number | undefined;
  /** Where their health is served, if it is. */
  readonly health?: HealthPlace | undefined;
  /** Makes the roles, once whatever they tell has somewhere to go. */
  make(): RoleSet | Promise<RoleSet>;
}

/** How long the projector may go on reading once the others have stopped, in ms. */
const LAST_EVENTS_MS = 500;

/**
 * Runs roles until a signal, or until one of them cannot go on: then the others are stopped too, and its error is thrown.
 * The first signal stops them gracefully, a second one ends the process.
 */
export async function runRoles({ application, terminal, forMs, health, make }: RolesGiven): Promise<void> {
  await using _telemetry = await telemetryOf(application, terminal);
  await using _broker = application.broker;
  watchRoles(application.engine, terminal);
  const { makers: named, projector } = await make();
  const makers = Object.values(named);
  const roles = projector === undefined ? named : { ...named, projector };
  await using _health =
    health === undefined ? undefined : await serveHealth(health, { engine: application.engine, roles });
  if (terminal.isInteractive) greet(application, terminal);
  const signal = stopOnSignal(forMs);
  const failing = new AbortController();
  const until = AbortSignal.any([signal, failing.signal]);
  const project = new AbortController();
  const projecting = settled(projector?.run(project.signal), () => failing.abort());
  const makersFailed = await settled(makers.length === 0 ? aborted(until) : runTogether(makers, until));
  if (projector !== undefined && makers.length > 0) await pause(LAST_EVENTS_MS, failing.signal);
  project.abort();
  const failed = makersFailed ?? (await projecting);
  if (failed !== undefined) throw failed.error;
}

function greet({ engine, name }: Application, { note, noteStyle }: Terminal): void {
  const names = [...new Set(engine.records.filter(({ run }) => run !== undefined).map((record) => record.name))].sort();
  note(
    noteStyle(
      "dim",
      `${name}: ${names.join(", ") || "no tasks of its own"}. Ctrl-C stops, and waits for what runs; twice stops at once.`,
    ),
  );
}

/** Telemetry, when the OTEL_* variables ask for it. What it has left is sent within three seconds of the end. */
async function telemetryOf({ engine }: Application, terminal: Terminal): Promise<AsyncDisposable | undefined> {
  const { isTelemetryAsked, startTelemetry } = await import("../../otel/bootstrap.ts");
  if (!isTelemetryAsked(terminal.env)) return undefined;
  const { laneReader } = await import("./lane-readings.ts");
  const lanes = laneReader(engine);
  const telemetry = await startTelemetry({ lanes: lanes.read, report: (line) => engine.logger.warn({}, line) });
  return {
    async [Symbol.asyncDispose]() {
      await telemetry.shutdown();
      lanes.close();
    },
  };
}

/** What something ended with, when it was an error. */
async function settled(work: Promise<void> | undefined, onFailure = () => {}): Promise<{ error: unknown } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    onFailure();
    return { error };
  }
}
