import type { DatabaseTransactionConnection } from "slonik";
import { z } from "zod";
import { changed, rowsOf, type Session, statement } from "../statement.ts";
import { begunOf, columnOf, conflictOf } from "../table.ts";
import { columnsOf, type Shadow } from "./shadow.ts";

/** Which rows are looked at. */
export interface Scope {
  readonly tasks?: readonly string[] | undefined;
  readonly queues?: readonly string[] | undefined;
  /** Rows that began before this instant are left alone, in ms. */
  readonly fromMs?: number | undefined;
}

/** Whether a live table has hardly a row of the namespace beside its shadow: it was emptied, or made anew. What is missing is then better put in without a comparison. */
export async function isNearlyEmpty(session: Session, { table, live, namespace }: Shadow): Promise<boolean> {
  const rows = await rowsOf(
    session,
    z.object({ isFew: z.boolean() }),
    statement(
      `select (select count(*) from (select from ${live.name} where namespace = $1 limit folded.count / 10 + 1) few) <= folded.count / 10 as "isFew"
       from (select count(*) as count from ${table.name}) folded`,
      [namespace],
    ),
  );
  return rows[0]?.isFew === true;
}

/**
 * Notes the keys of all rows that differ now between a shadow and its live table. In one statement, and so of one moment. `isOfLive`: only of those that
 * the live table has.
 */
export async function suspectDifferences(
  session: Session,
  { table, live, namespace, suspects }: Shadow,
  isOfLive = false,
): Promise<void> {
  const keys = conflictOf(live);
  const row = (side: string) => `row(${columnsOf(live).map((name) => `${side}.${name}`)})`;
  await session.query(
    statement(
      `insert into ${suspects} (${keys})
       select ${keys.map((key) => `coalesce(s.${key}, l.${key})`)}
       from ${table.name} s ${isOfLive ? "right" : "full"} join (select * from ${live.name} where namespace = $1) l on ${equal(keys, "s", "l")}
       where ${row("s")} is distinct from ${row("l")}
       on conflict do nothing`,
      [namespace],
    ),
  );
}

/** Notes keys whose rows were folded since. */
export async function suspectRows(
  session: Session,
  { suspects, live, table }: Shadow,
  keys: readonly string[],
): Promise<void> {
  const names = conflictOf(live);
  await session.query(
    statement(
      `insert into ${suspects} (${names}) select ${names} from ${table.name}
       where ${columnOf(live.key)} = any($1::text[]::${live.columns[live.key] === "uuid" ? "uuid" : "text"}[]) on conflict do nothing`,
      [keys],
    ),
  );
}

const verdict = z.object({ action: z.enum(["insert", "update", "delete"]), count: z.number() });

/** How many rows there are, and what would become of them. */
export interface Verdict {
  readonly rows: number;
  readonly insert: number;
  readonly update: number;
  readonly delete: number;
  /** Rows that differ, and are older than the history that is kept: they stay as they are. */
  readonly carried: number;
}

/**
 * Judges the suspected rows, as they are now in this transaction, in a temporary table `replay_verdict`. A row of the live table that began before the history of its
 * lane is whole stays as it is. One that only the shadow has is new, unless it had ended before then: of such, what is left may be half of it.
 */
export async function judge(session: DatabaseTransactionConnection, shadow: Shadow, scope: Scope): Promise<Verdict> {
  const { table, live, namespace, suspects } = shadow;
  const keys = conflictOf(live);
  const row = (side: string) => `row(${columnsOf(live).map((name) => `${side}.${name}`)})`;
  const begun = begunOf(live, "l");
  const ended = endedOf(shadow);
  const task = "taskName" in live.columns ? "coalesce(s.task_name, l.task_name)" : "null::text";
  await session.query(
    statement(
      `create temporary table replay_verdict on commit drop as
       select ${keys.map((key) => `d.${key}`)},
         case when l.namespace is not null and ${begun} < since.at then 'carried'
              when l.namespace is null and (s.namespace is null or ${ended} < since.at) then 'none'
              when l.namespace is null then 'insert'
              when s.namespace is null then 'delete'
              when ${row("s")} is distinct from ${row("l")} then 'update' else 'none' end as action
       from ${suspects} d
       left join ${table.name} s on ${equal(keys, "s", "d")}
       left join ${live.name} l on ${equal(keys, "l", "d")} and l.namespace = $1
       left join ledger_horizons h on h.lane = $1 || ':' || coalesce(l.queue, s.queue)
       cross join lateral (select to_timestamp(greatest(h.kept_from_ms, $2::double precision) / 1000.0) as at) since
       where ($3::text[] is null or ${task} = any($3)) and ($4::text[] is null or coalesce(s.queue, l.queue) = any($4))`,
      [namespace, scope.fromMs ?? null, scope.tasks ?? null, scope.queues ?? null],
    ),
  );
  const counted = await rowsOf(
    session,
    verdict.extend({ action: z.string() }),
    statement(`select action, count(*)::double precision as count from replay_verdict group by action`, []),
  );
  const count = (action: string) => counted.find((one) => one.action === action)?.count ?? 0;
  return {
    rows: await countRows(session, shadow, scope),
    insert: count("insert"),
    update: count("update"),
    delete: count("delete"),
    carried: count("carried"),
  };
}

/** When a row of the shadow ended. */
function endedOf({ live }: Shadow): string {
  return "endedAt" in live.columns ? "s.ended_at" : "null::timestamptz";
}

async function countRows(session: Session, { live, namespace }: Shadow, { tasks, queues }: Scope): Promise<number> {
  const task = "taskName" in live.columns ? "task_name" : "null::text";
  const rows = await rowsOf(
    session,
    z.object({ count: z.number() }),
    statement(
      `select count(*)::double precision as count from ${live.name}
       where namespace = $1 and ($2::text[] is null or ${task} = any($2)) and ($3::text[] is null or queue = any($3))`,
      [namespace, tasks ?? null, queues ?? null],
    ),
  );
  return rows[0]?.count ?? 0;
}

/** The first differing rows, by key. */
export function listJudged(session: Session, { live }: Shadow, limit: number) {
  const key = columnOf(live.key);
  return rowsOf(
    session,
    z.object({ key: z.string(), queue: z.string().nullable(), action: verdict.shape.action }),
    statement(
      `select ${key}::text as key, ${live.scope === "lane" ? "queue" : "null::text"} as queue, action from replay_verdict
       where action in ('insert', 'update', 'delete') order by 1, 2 limit $1`,
      [limit],
    ),
  );
}

/** Makes the live rows what was judged that they should be. */
export async function applyVerdict(session: Session, { table, live, namespace }: Shadow): Promise<number> {
  const keys = conflictOf(live);
  const columns = columnsOf(live);
  const updates = columns.filter((name) => !keys.includes(name)).map((name) => `${name} = excluded.${name}`);
  const removed = await changed(
    session,
    statement(
      `delete from ${live.name} l using replay_verdict v where v.action = 'delete' and l.namespace = $1 and ${equal(keys, "l", "v")}`,
      [namespace],
    ),
  );
  const written = await changed(
    session,
    statement(
      `insert into ${live.name} (${columns}) select ${columns.map((name) => `s.${name}`)}
       from ${table.name} s join replay_verdict v on ${equal(keys, "s", "v")}
       where v.action in ('insert', 'update')
       on conflict (${keys}) do update set ${updates}`,
      [],
    ),
  );
  return removed + written;
}

/**
 * Puts in what the live table has not got: straight from the shadow, which takes half the time of judging each row. Left out is what had ended
 * before the history of its lane is whole, as by the verdict. Gives how many rows that were.
 */
export function insertMissing(session: Session, shadow: Shadow): Promise<number> {
  const { table, live, namespace } = shadow;
  const columns = columnsOf(live);
  return changed(
    session,
    statement(
      `insert into ${live.name} (${columns}) select ${columns.map((name) => `s.${name}`)}
       from ${table.name} s left join ledger_horizons h on h.lane = $1 || ':' || s.queue
       where (${endedOf(shadow)} < to_timestamp(h.kept_from_ms / 1000.0)) is not true
         and not exists (select from ${live.name} l where ${equal(conflictOf(live), "l", "s")})`,
      [namespace],
    ),
  );
}

function equal(keys: readonly string[], one: string, other: string): string {
  return keys.map((key) => `${one}.${key} = ${other}.${key}`).join(" and ");
}
