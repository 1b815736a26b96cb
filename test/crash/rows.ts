import { isDeepStrictEqual } from "node:util";
import type { Redis } from "ioredis";
import pg from "pg";
import { projections } from "../../projections/all.ts";
import type { AnyProjection, AnyRow } from "../../projections/projection.ts";
import { isLedgerEvent } from "../../streams/ledger.ts";
import { readLedger } from "./oracle.ts";

/** What is compared. */
export interface Comparison {
  readonly redis: Redis;
  readonly namespace: string;
  readonly queue: string;
  readonly databaseUrl: string;
}

/** Folds the whole ledger here, in memory, and names each row in Postgres that is another, is missing, or should not be there. */
export async function rowsThatDiffer({ redis, namespace, queue, databaseUrl }: Comparison): Promise<string[]> {
  const events = (await Array.fromAsync(readLedger(redis, namespace, queue))).filter(isLedgerEvent);
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const found = await Promise.all(
      projections.map((projection) => differences(client, { projection, namespace, events })),
    );
    return found.flat();
  } finally {
    await client.end();
  }
}

interface Compared {
  readonly projection: AnyProjection;
  readonly namespace: string;
  readonly events: Parameters<AnyProjection["key"]>[0][];
}

async function differences(client: pg.Client, { projection, namespace, events }: Compared): Promise<string[]> {
  const expected = new Map<string, AnyRow>();
  for (const event of events) {
    const key = projection.key(event);
    if (key === undefined) continue;
    const row = projection.fold(expected.get(key), event);
    if (row !== undefined) expected.set(key, row);
  }
  const { name, key, selection } = projection.table;
  const { rows } = await client.query<AnyRow>(`select ${selection} from ${name} where namespace = $1`, [namespace]);
  const actual = new Map(rows.map((row) => [String(row[key]), row]));
  const keys = new Set([...expected.keys(), ...actual.keys()]);
  return [...keys].filter((one) => !isSame(expected.get(one), actual.get(one))).map((one) => `${name} ${one}`);
}

/** Absent and null are one; a number may come as text. */
function isSame(expected: AnyRow | undefined, actual: AnyRow | undefined): boolean {
  if (expected === undefined || actual === undefined) return false;
  return Object.keys(actual).every((property) => {
    const [one, other] = [expected[property] ?? null, actual[property] ?? null];
    return isDeepStrictEqual(one, other) || (one !== null && other !== null && String(one) === String(other));
  });
}
