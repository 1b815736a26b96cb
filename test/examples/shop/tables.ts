import { type DatabasePool, sql } from "slonik";

/** The shop's own tables. Those of Tasktrail are made by its projector. */
export async function createTables(pool: DatabasePool): Promise<void> {
  await pool.query(sql.unsafe`
    create table if not exists shop_users (id text primary key, name text not null, email text not null unique)
  `);
  await pool.query(sql.unsafe`
    create table if not exists shop_welcomes (
      user_id text primary key references shop_users (id),
      run_id uuid not null,
      message_id text not null,
      sent_at timestamptz not null default now()
    )
  `);
  await pool.query(sql.unsafe`
    create table if not exists shop_products (
      sku text primary key, title text not null, price_cents integer not null, stock integer not null,
      updated_at timestamptz not null default now()
    )
  `);
  await pool.query(sql.unsafe`
    create table if not exists shop_uploads (
      digest text primary key, file text not null, accepted integer not null, rejected integer not null, run_id uuid not null,
      processed_at timestamptz not null default now()
    )
  `);
  await pool.query(sql.unsafe`
    create table if not exists shop_offers (
      sku text primary key, title text not null, price_cents integer not null, stock integer not null,
      synced_at timestamptz not null default now()
    )
  `);
}

/** A user as the shop keeps it. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

/** Adds users; those who are there stay as they are. */
export async function addUsers(pool: DatabasePool, users: readonly User[]): Promise<void> {
  await pool.query(sql.unsafe`
    insert into shop_users (id, name, email)
    select id, name, email from jsonb_to_recordset(${sql.jsonb(users.map((user) => ({ ...user })))}) as row (id text, name text, email text)
    on conflict (id) do nothing
  `);
}
