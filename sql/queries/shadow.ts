import { createHash } from "node:crypto";
import { type DatabaseTransactionConnection, sql } from "slonik";
import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";
import { columnOf, conflictOf, defineTable, type Table } from "../table.ts";

type AnyTable = Table<Readonly<Record<string, unknown>>>;

/** A table beside a projection's own, into which history is folded again. It and what belongs to it are not logged: after a crash of Postgres they are empty together, and begun anew. */
export interface Shadow {
  readonly table: AnyTable;
  /** The projection's own table. */
  readonly live: AnyTable;
  readonly namespace: string;
  /** How far each lane is folded: a table beside it. */
  readonly positions: string;
  /** Keys whose rows may differ: a table beside it. */
  readonly suspects: string;
}

/** The shadow of a namespace's share of a table. No two namespaces have the same. */
export function shadowOf(live: AnyTable, namespace: string): Shadow {
  const mark = createHash("sha1").update(namespace).digest("hex").slice(0, 8);
  const name = `${live.name.slice(0, 36)}_replay_${mark}`;
  return { table: defineTable({ ...live, name }), live, namespace, positions: `${name}_at`, suspects: `${name}_keys` };
}

/** Where a lane is folded to. */
export interface ShadowPosition {
  readonly lane: string;
  readonly incarnation: string;
  readonly ms: number;
  readonly seq: number;
  /** Events up to there. */
  readonly events: number;
}

const position = z.object({
  lane: z.string(),
  incarnation: z.string(),
  ms: z.number(),
  seq: z.number(),
  events: z.number(),
});

/** What a shadow that is there is being made of; undefined when there is none. */
export async function findPlan(session: Session, { positions }: Shadow): Promise<string | undefined> {
  const rows = await rowsOf(
    session,
    z.object({ plan: z.string().nullable() }),
    sql.unsafe`select obj_description(to_regclass(${positions}), 'pg_class') as plan`,
  );
  return rows[0]?.plan ?? undefined;
}

/** Makes an empty shadow, and notes what it is going to be made of. */
export async function createShadow(
  session: DatabaseTransactionConnection,
  shadow: Shadow,
  plan: string,
): Promise<void> {
  const { table, live, positions, suspects } = shadow;
  const keys = conflictOf(live);
  await dropShadow(session, shadow);
  const statements = [
    `create unlogged table ${table.name} (like ${live.name} including defaults including constraints including generated)`,
    `alter table ${table.name} add constraint ${table.name}_pkey primary key (${keys.join(", ")}), set (autovacuum_enabled = false)`,
    `create unlogged table ${positions} (lane text primary key, incarnation text not null, ms bigint not null, seq bigint not null, events bigint not null)`,
    `create unlogged table ${suspects} as select ${keys.join(", ")} from ${live.name} limit 0`,
    `alter table ${suspects} add primary key (${keys.join(", ")})`,
    `comment on table ${positions} is '${plan.replaceAll("'", "''")}'`,
  ];
  for (const text of statements) await session.query(statement(text, []));
}

/** Removes a shadow and what belongs to it. */
export async function dropShadow(session: Session, { table, positions, suspects }: Shadow): Promise<void> {
  await session.query(statement(`drop table if exists ${suspects}, ${positions}, ${table.name}`, []));
}

/** How far each lane is folded. */
export function findPositions(session: Session, { positions }: Shadow): Promise<ShadowPosition[]> {
  return rowsOf(
    session,
    position,
    statement(
      `select lane, incarnation, ms::double precision as ms, seq::double precision as seq, events::double precision as events from ${positions}`,
      [],
    ),
  );
}

/** Notes how far a lane is folded. In the transaction of its rows. */
export async function movePosition(session: Session, { positions }: Shadow, to: ShadowPosition): Promise<void> {
  await session.query(
    statement(
      `insert into ${positions} (lane, incarnation, ms, seq, events) values ($1, $2, $3, $4, $5)
       on conflict (lane) do update set incarnation = excluded.incarnation, ms = excluded.ms, seq = excluded.seq, events = excluded.events`,
      [to.lane, to.incarnation, to.ms, to.seq, to.events],
    ),
  );
}

/** Makes a shadow a table of its own, under a name of its own. */
export async function keepShadow(
  session: Session,
  shadow: Shadow,
  { name, note }: { name: string; note: string },
): Promise<void> {
  const { table, positions, suspects } = shadow;
  for (const text of [
    `alter table ${table.name} set logged`,
    `alter table ${table.name} reset (autovacuum_enabled)`,
    `comment on table ${table.name} is '${note.replaceAll("'", "''")}'`,
    `drop table ${suspects}, ${positions}`,
    `alter index ${table.name}_pkey rename to ${name}_pkey`,
    `alter table ${table.name} rename to ${name}`,
  ])
    await session.query(statement(text, []));
}

/** Whether there is a table or view of this name. */
export async function tableExists(session: Session, name: string): Promise<boolean> {
  const rows = await rowsOf(
    session,
    z.object({ exists: z.boolean() }),
    sql.unsafe`select to_regclass(${name}) is not null as exists`,
  );
  return rows[0]?.exists === true;
}

/** A column's name on both sides of a comparison, for each column of a table. */
export function columnsOf(table: AnyTable): string[] {
  return [...Object.keys(table.columns).map(columnOf), "namespace"];
}
