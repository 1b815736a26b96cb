import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { type DatabasePool, sql } from "slonik";
import { z } from "zod";
import { sqlState, transactionOnce } from "./pool.ts";
import { rowsOf, type Session, statement } from "./statement.ts";

/** A step of the schema, read from `migrations/`. */
export interface Migration {
  /** The number in front of its name; they are applied in this order. */
  readonly id: number;
  /** The file's name without `.sql`. */
  readonly name: string;
  readonly statements: readonly string[];
  /** SHA-256 of the file, in hex. It never changes once released. */
  readonly checksum: string;
}

/** The database and this version do not fit together. The message says which is ahead, and what to do. */
export class MigrationError extends Error {
  readonly code: "migration_changed" | "database_too_new" | "migration_failed" | "migrations_pending";
  constructor(code: MigrationError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MigrationError";
    this.code = code;
  }
}

const FOLDER = new URL("./migrations/", import.meta.url);
const LOCK = 7_264_110_359; // one number for all: whoever migrates this database waits for it

/** The migrations of this version, in order. */
export async function readMigrations(folder: URL = FOLDER): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{4}-[a-z0-9-]+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => {
      const text = (await readFile(new URL(file, folder), "utf8")).replaceAll("\r\n", "\n");
      const checksum = createHash("sha256").update(text).digest("hex");
      return { id: Number(file.slice(0, 4)), name: file.slice(0, -4), statements: splitStatements(text), checksum };
    }),
  );
}

/** The statements of a migration: cut where a line ends with `;`, but not inside a `$$` body. */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current: string[] = [];
  let isInBody = false;
  for (const line of text.split("\n")) {
    if (current.length === 0 && (line.trim() === "" || line.startsWith("--"))) continue;
    current.push(line);
    if (line.split("$$").length % 2 === 0) isInBody = !isInBody;
    if (isInBody || !line.trimEnd().endsWith(";")) continue;
    statements.push(current.join("\n").replace(/;\s*$/, ""));
    current = [];
  }
  if (current.length > 0) statements.push(current.join("\n"));
  return statements;
}

/** What this version has and the database has not. Throws MigrationError when the database is newer, or a released migration differs. */
export async function pendingMigrations(pool: Session, migrations?: readonly Migration[]): Promise<Migration[]> {
  const ours = migrations ?? (await readMigrations());
  const applied = await findApplied(pool);
  for (const { id, name, checksum } of applied) {
    const same = ours.find((migration) => migration.id === id);
    if (same === undefined) throw tooNew(name);
    if (same.checksum !== checksum) throw wasChanged(name, same.name);
  }
  const done = new Set(applied.map(({ id }) => id));
  return ours.filter(({ id }) => !done.has(id));
}

/** Throws MigrationError unless the database has every migration of this version. For who may not change the schema itself. */
export async function requireMigrations(pool: Session): Promise<void> {
  const pending = await pendingMigrations(pool);
  if (pending.length === 0) return;
  const names = pending.map(({ name }) => name).join(", ");
  throw new MigrationError("migrations_pending", `The database lacks ${names}. Run: tasktrail migrate`);
}

/** What may be given to `migrate`. */
export interface MigrateOptions {
  /** Called once per migration, when all of them are committed. */
  readonly onApplied?: ((migration: Migration) => void) | undefined;
  /** Default: those of this version. */
  readonly migrations?: readonly Migration[] | undefined;
}

/**
 * Brings the database up to this version: all that is pending in one transaction, under one lock, so that any number of
 * processes may start at once. Gives what it applied. Throws MigrationError.
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<Migration[]> {
  const migrations = options.migrations ?? (await readMigrations());
  if ((await pendingMigrations(pool, migrations)).length === 0) return [];
  const applied = await transactionOnce(pool, async (session) => {
    await session.query(sql.unsafe`select set_config('statement_timeout', '0', true)`);
    await session.query(sql.unsafe`select pg_advisory_xact_lock(${LOCK})`);
    await session.query(createMigrationsTable);
    const pending = await pendingMigrations(session, migrations);
    for (const migration of pending) await apply(session, migration);
    return pending;
  });
  for (const migration of applied) options.onApplied?.(migration);
  return applied;
}

/** Makes a table anew that a migration had made and somebody has dropped: empty, with its indexes and comments. */
export async function restoreTable(pool: DatabasePool, table: string): Promise<void> {
  const its = new RegExp(
    `^(create table ${table}|(create index \\w+ on|alter table|comment on table) ${table}|comment on column ${table}\\.)\\b`,
  );
  const statements = (await readMigrations())
    .flatMap((one) => one.statements)
    .map(withoutComments)
    .filter((text) => its.test(text));
  await transactionOnce(pool, async (session) => {
    for (const text of statements) await session.query(statement(text, []));
  });
}

function withoutComments(text: string): string {
  return text.replace(/^(--.*\n|\s*\n)+/, "");
}

async function apply(session: Session, { id, name, statements, checksum }: Migration): Promise<void> {
  for (const text of statements) {
    try {
      await session.query(statement(text, []));
    } catch (error) {
      throw /^(42|22|23|0A|3F)/.test(sqlState(error) ?? "") ? failed(name, text, error) : error;
    }
  }
  await session.query(sql.unsafe`
    insert into tasktrail_migrations (id, name, checksum) values (${id}, ${name}, ${checksum})`);
}

const createMigrationsTable = sql.unsafe`
  create table if not exists tasktrail_migrations (
    id integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`;

const appliedRow = z.object({ id: z.number(), name: z.string(), checksum: z.string() });

async function findApplied(session: Session): Promise<z.infer<typeof appliedRow>[]> {
  const found = await session.any(sql.unsafe`select to_regclass('tasktrail_migrations') is not null as exists`);
  if (!(found[0] as { exists: boolean }).exists) return [];
  return rowsOf(session, appliedRow, sql.unsafe`select id, name, checksum from tasktrail_migrations order by id`);
}

function tooNew(name: string): MigrationError {
  return new MigrationError(
    "database_too_new",
    `The database has the migration ${name}, which this version of tasktrail does not know: a newer version made it. Update tasktrail here.`,
  );
}

function wasChanged(applied: string, ours: string): MigrationError {
  return new MigrationError(
    "migration_changed",
    `The migration ${ours} is not the one that was applied to this database (${applied}). A released migration never changes: restore the file, and make a new migration for the change.`,
  );
}

function failed(name: string, text: string, cause: unknown): MigrationError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const hint =
    sqlState(cause) === "42501"
      ? " The user may not create tables here: grant it `create` on the schema, or name another with ?options=-csearch_path%3Dyour_schema in DATABASE_URL."
      : "";
  const statementHead = text.split("\n", 1)[0];
  return new MigrationError("migration_failed", `The migration ${name} failed at "${statementHead}": ${said}.${hint}`, {
    cause,
  });
}
