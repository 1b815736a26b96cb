import type { DatabasePool } from "slonik";
import { pause } from "../streams/lane.ts";
import { followArchive } from "./follow-archive.ts";
import { backoffMs } from "./lane.ts";
import type { ProjectorNotice } from "./lane-deps.ts";
import { type OwnDefinition, type OwnProjection, openOwn } from "./own.ts";
import type { ProjectorSettings } from "./settings.ts";

/** An application's projections, with their tables open. */
export type OpenOwn = readonly { readonly definition: OwnDefinition; readonly projection: OwnProjection }[];

/** Opens the table of each: makes what is missing, and compares it with its row. Throws TableUnfit. */
export async function openAllOwn(pool: DatabasePool, definitions: readonly OwnDefinition[]): Promise<OpenOwn> {
  const opened: { definition: OwnDefinition; projection: OwnProjection }[] = [];
  for (const definition of definitions) opened.push({ definition, projection: await openOwn(pool, definition) });
  return opened;
}

/** What the projections of one lane are kept with. */
export interface KeepDeps {
  readonly pool: DatabasePool;
  readonly namespace: string;
  readonly queue: string;
  readonly settings: ProjectorSettings;
  announce(notice: ProjectorNotice): void;
}

/** Keeps an application's projections in one lane until aborted, each by itself: one that fails is tried again, and holds up no other. */
export async function keepOwn(deps: KeepDeps, own: OpenOwn, signal: AbortSignal): Promise<void> {
  await Promise.all(own.map((one) => keepOne(deps, one, signal)));
}

async function keepOne(deps: KeepDeps, own: OpenOwn[number], signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await followArchive({ ...deps, ...own, lookEveryMs: deps.settings.lookEveryMs }, signal);
    } catch (error) {
      failures += 1;
      if (failures === 1 || failures % 10 === 0)
        deps.announce({
          kind: "problem",
          what: `projection ${own.projection.name} cannot be kept in queue "${deps.queue}"; it will be tried again`,
          error,
          facts: { queue: deps.queue, projection: own.projection.name, failures },
        });
      await pause(backoffMs(failures, deps.settings), signal);
    }
  }
}
