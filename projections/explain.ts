import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { listJudged } from "../sql/queries/differences.ts";
import type { Shadow } from "../sql/queries/shadow.ts";
import type { Session } from "../sql/statement.ts";
import { loadRows } from "../sql/table.ts";
import { decodeEntry, isLedgerEvent } from "../streams/ledger.ts";
import { parseLane } from "./archive.ts";
import { readGoal } from "./fold-lane.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";

/** A row that is not what the ledger says. */
export interface Difference {
  readonly key: string;
  /** What would have to be done with the row. */
  readonly action: "insert" | "update" | "delete";
  /** The columns that differ, by property: what the table has, and what the ledger says. */
  readonly columns: Readonly<Record<string, { readonly table: unknown; readonly ledger: unknown }>>;
  /** The last event that gave one of these columns the value that it should have; undefined when no event makes the row. */
  readonly event: { readonly type: string; readonly position: string; readonly at: number } | undefined;
}

/** What differences are explained from. */
export interface ExplainDeps {
  readonly namespace: string;
  readonly projection: AnyProjection;
  readonly shadow: Shadow;
  readonly checkpoints: readonly Checkpoint[];
}

/** The first differences that were judged, each with the event that explains it. Reads the archive once more. */
export async function explain(session: Session, deps: ExplainDeps, most: number): Promise<Difference[]> {
  const { shadow, namespace } = deps;
  const judged = await listJudged(session, shadow, most);
  if (judged.length === 0) return [];
  const found: Difference[] = [];
  const origins = await findOrigins(session, deps, new Set(judged.map(({ key }) => key)));
  for (const { key, queue, action } of judged) {
    const place = { namespace, queue: queue ?? "" };
    const live = (await loadRows(session, { table: shadow.live, ...place }, [key])).get(key);
    const ledger = (await loadRows(session, { table: shadow.table, ...place }, [key])).get(key);
    const columns = compare(live, ledger);
    const changes = origins.get(`${queue ?? ""} ${key}`) ?? new Map<string, Origin>();
    const events = Object.keys(columns).flatMap((property) => changes.get(property) ?? []);
    const last = events.reduce<Origin | undefined>(
      (late, one) => (late === undefined || one.order > late.order ? one : late),
      undefined,
    );
    const event = last && { type: last.type, position: last.position, at: last.at };
    found.push({ key, action, columns, event: action === "delete" ? undefined : event });
  }
  return found;
}

function compare(live: AnyRow | undefined, ledger: AnyRow | undefined): Difference["columns"] {
  const properties = Object.keys(ledger ?? live ?? {});
  const pairs = properties.map(
    (property) => [property, { table: live?.[property] ?? null, ledger: ledger?.[property] ?? null }] as const,
  );
  return Object.fromEntries(pairs.filter(([, { table, ledger }]) => JSON.stringify(table) !== JSON.stringify(ledger)));
}

type Origin = { readonly type: string; readonly position: string; readonly at: number; readonly order: number };

/** For each key and property, the last event that changed it. */
async function findOrigins(
  session: Session,
  { projection, checkpoints, shadow }: ExplainDeps,
  keys: ReadonlySet<string>,
) {
  const origins = new Map<string, Map<string, Origin>>();
  const rows = new Map<string, AnyRow>();
  let order = 0;
  for (const until of checkpoints) {
    const { queue } = parseLane(until.lane);
    for await (const { incarnation, entries } of readGoal(session, { lane: until.lane, after: undefined, until })) {
      for (const event of entries
        .flatMap((entry) => decodeEntry(entry, { queue, incarnation }))
        .filter(isLedgerEvent)) {
        const key = keyOf(projection, event);
        if (key === undefined || !keys.has(key)) continue;
        const place = `${shadow.live.scope === "lane" ? queue : ""} ${key}`;
        const before = rows.get(place);
        const row = projection.fold(before, event);
        if (row === undefined) continue;
        order += 1;
        const changes = origins.get(place) ?? new Map<string, Origin>();
        const origin = { type: event.type, position: event.position ?? "", at: event.at, order };
        for (const property of Object.keys(compare(before, row))) changes.set(property, origin);
        origins.set(place, changes);
        rows.set(place, row);
      }
    }
  }
  return origins;
}

function keyOf(projection: AnyProjection, event: Parameters<AnyProjection["key"]>[0]): string | undefined {
  try {
    return projection.key(event);
  } catch {
    return undefined; // parked by its position: no row of a table hangs on it
  }
}
