import type { DatabasePool } from "slonik";
import { transactionOnce } from "../sql/pool.ts";
import {
  type Checkpoint,
  createCheckpoint,
  enterLife,
  findCheckpoint,
  findCheckpointsOf,
} from "../sql/queries/checkpoints.ts";
import { findLives } from "../sql/queries/lives.ts";
import { listParked } from "../sql/queries/parked.ts";
import { loadRows } from "../sql/table.ts";
import { pause } from "../streams/lane.ts";
import { batchToken, decodeEntry, isLedgerEvent, type LedgerEntry, splitId } from "../streams/ledger.ts";
import { laneName } from "./archive.ts";
import { foldShare, type Refusal, shareOf } from "./batch.ts";
import { commitBatch } from "./commit.ts";
import { readGoal } from "./fold-lane.ts";
import { LEDGER, type ProjectorNotice } from "./lane-deps.ts";
import { type OwnDefinition, type OwnProjection, shownVersion, showVersion } from "./own.ts";
import type { LanePage } from "./read-lane.ts";

/** What a projection of an application's is kept with, in one lane. */
export interface OwnDeps {
  readonly pool: DatabasePool;
  readonly namespace: string;
  readonly queue: string;
  readonly projection: OwnProjection;
  readonly definition: OwnDefinition;
  announce(notice: ProjectorNotice): void;
  /** How long to wait before looking again whether something was archived, in ms. */
  readonly lookEveryMs: number;
}

/**
 * Keeps a table of an application's in one lane until aborted: what was archived after its own checkpoint, exactly once, whoever else does it too. It follows the archive and not the tail: so it holds up
 * nobody, may begin at any time, and never has rows of what Redis lost. Rejects with whatever Postgres says.
 */
export async function followArchive(deps: OwnDeps, signal: AbortSignal): Promise<void> {
  const { pool, namespace, queue, projection } = deps;
  const lane = laneName(namespace, queue);
  while (!signal.aborted) {
    const until = await findCheckpoint(pool, lane, LEDGER);
    const from = until && (await openCheckpoint(pool, lane, projection.name));
    if (until === undefined || from === undefined || isThere(from, until)) {
      if (from !== undefined) await showWhenBuilt(deps);
      await pause(deps.lookEveryMs, signal);
      continue;
    }
    let at = from;
    const parked = new Set(
      (await listParked(pool, namespace)).filter((one) => one.projection === projection.name).map(({ key }) => key),
    );
    for await (const page of readGoal(pool, { lane, after: from, until })) {
      if (signal.aborted) return;
      const next = await foldPage(deps, { page, at, parked });
      if (next === "lost") break; // somebody else has done it: from where they are
      at = next;
    }
    if (at === from) await skipLives(pool, { from, until });
  }
}

function isThere(from: Checkpoint, until: Checkpoint): boolean {
  return from.incarnation === until.incarnation && from.ms === until.ms && from.seq === until.seq;
}

async function openCheckpoint(pool: DatabasePool, lane: string, projection: string): Promise<Checkpoint | undefined> {
  const found = await findCheckpoint(pool, lane, projection);
  if (found !== undefined) return found;
  const [first] = await findLives(pool, lane);
  if (first === undefined) return undefined;
  await createCheckpoint(pool, { lane, projection, incarnation: first.incarnation });
  return findCheckpoint(pool, lane, projection);
}

/** A life of which nothing is archived has no page that would lead into it. */
async function skipLives(
  pool: DatabasePool,
  { from, until }: { readonly from: Checkpoint; readonly until: Checkpoint },
): Promise<void> {
  if (from.incarnation !== until.incarnation) await enterLife(pool, from, { ...until, token: until.token });
}

type Paged = { readonly page: LanePage; readonly at: Checkpoint; readonly parked: Set<string> };

/** Folds and commits a page. Gives the checkpoint after it, or "lost" when somebody else has moved it. */
async function foldPage(deps: OwnDeps, { page, at: before, parked }: Paged): Promise<Checkpoint | "lost"> {
  const { pool, namespace, queue, projection } = deps;
  const { incarnation, entries } = page;
  let at = before;
  if (at.incarnation !== incarnation) {
    const life = { incarnation, ms: 0, seq: 0, token: "" };
    if (!(await enterLife(pool, at, life))) return "lost";
    at = { ...at, ...life };
  }
  const decoded = entries.flatMap((entry) => decodeEntry(entry, { queue, incarnation }));
  const events = decoded.filter(isLedgerEvent);
  const share = shareOf(projection, events, parked);
  const keys = [...new Set(share.steps.map(({ key }) => key))];
  const folded = foldShare(share, await loadRows(pool, { table: projection.table, namespace, queue }, keys));
  const last = entries.at(-1) as LedgerEntry;
  const [ms, seq] = splitId(last.id);
  const token = batchToken(last.header);
  const counts = { entries: entries.length, events: decoded.length, unknown: decoded.length - events.length };
  const commit = await commitBatch(pool, at, {
    batch: { archived: [], events, to: { ms, seq, token, ...counts } },
    folded: [folded],
  });
  if (commit.outcome === "lost") return "lost";
  for (const refusal of commit.refusals) {
    parked.add(refusal.key);
    tellParked(deps, refusal);
  }
  return { ...at, ms, seq, token };
}

function tellParked(deps: OwnDeps, { projection, key, event, error }: Refusal): void {
  deps.announce({
    kind: "problem",
    what: `projection ${projection} cannot take ${event.type}; the key ${key} is parked, and everything else goes on`,
    error,
    facts: { projection, key, position: event.position },
  });
}

/** Has the view show this version once it has caught up in every lane, and none of its keys is parked. */
async function showWhenBuilt({ pool, namespace, projection, definition, announce }: OwnDeps): Promise<void> {
  const shown = await shownVersion(pool, projection.view);
  if (shown !== undefined && shown >= projection.version) return;
  const [ledger, own, parked] = await Promise.all([
    findCheckpointsOf(pool, { namespace, checkpoint: LEDGER }),
    findCheckpointsOf(pool, { namespace, checkpoint: projection.name }),
    listParked(pool, namespace),
  ]);
  const isBuilt = ledger.every(
    (until) => until.ms === 0 || own.some((from) => from.lane === until.lane && isThere(from, until)),
  );
  if (!isBuilt || parked.some((one) => one.projection === projection.name)) return;
  const isSwitched = await transactionOnce(pool, (session) => showVersion(session, definition));
  if (isSwitched) announce({ kind: "projection.switched", projection: definition.name, version: projection.version });
}
