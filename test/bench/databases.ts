import pg from "pg";
import type { Server } from "../../src/dev/server.ts";
import { startPostgres } from "../../src/dev/start-postgres.ts";

/** A Postgres that is started when a first bench needs one. */
export interface Databases extends AsyncDisposable {
  /** The URL of a fresh, empty database. */
  open(): Promise<string>;
}

/** Opens nothing yet. */
export function openDatabases(): Databases {
  let server: Promise<Server> | undefined;
  let count = 0;
  return {
    async open() {
      server ??= startPostgres();
      const url = new URL((await server).url);
      const admin = new pg.Client(url.href);
      await admin.connect();
      url.pathname = `/bench_${++count}`;
      await admin.query(`create database bench_${count}`);
      await admin.query("checkpoint"); // what the last measurement wrote is not written during this one
      await admin.end();
      return url.href;
    },
    async [Symbol.asyncDispose]() {
      await (await server)?.[Symbol.asyncDispose]();
    },
  };
}
