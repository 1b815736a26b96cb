import { sql } from "slonik";
import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";

const parkedKey = z.object({
  namespace: z.string(),
  projection: z.string(),
  key: z.string(),
  lane: z.string(),
  position: z.string(),
  eventType: z.string(),
  errorType: z.string(),
  errorMessage: z.string(),
  errorStack: z.string().nullable(),
  parkedAt: z.number(),
});

/** A key that a projection has set aside, with the event and the error that it was for. */
export type ParkedKey = Readonly<z.infer<typeof parkedKey>>;

/** The parked keys of a namespace, latest first. */
export function listParked(session: Session, namespace: string, limit = 1_000_000): Promise<ParkedKey[]> {
  return rowsOf(
    session,
    parkedKey,
    sql.unsafe`
      select namespace, projection, key, lane, position, event_type as "eventType", error_type as "errorType",
        error_message as "errorMessage", error_stack as "errorStack", round(date_part('epoch', parked_at) * 1000) as "parkedAt"
      from projection_parked where namespace = ${namespace} order by parked_at desc, key limit ${limit}`,
  );
}

/** Parks keys. One that is parked already keeps its first error. */
export async function insertParked(session: Session, keys: readonly Omit<ParkedKey, "parkedAt">[]): Promise<void> {
  for (const { namespace, projection, key, lane, position, eventType, errorType, errorMessage, errorStack } of keys) {
    await session.query(sql.unsafe`
      insert into projection_parked
        (namespace, projection, key, lane, position, event_type, error_type, error_message, error_stack)
      values (${namespace}, ${projection}, ${key}, ${lane}, ${position}, ${eventType}, ${errorType}, ${errorMessage}, ${errorStack})
      on conflict do nothing`);
  }
}

/** Takes the keys of a projection off the list, but for some: a rebuild has taken their events. */
export async function unpark(
  session: Session,
  {
    namespace,
    projection,
    except,
  }: { readonly namespace: string; readonly projection: string; readonly except: readonly string[] },
): Promise<void> {
  await session.query(
    statement(`delete from projection_parked where namespace = $1 and projection = $2 and key <> all($3::text[])`, [
      namespace,
      projection,
      except,
    ]),
  );
}

/** Forgets that a key was parked. */
export async function deleteParked(
  session: Session,
  { namespace, projection, key }: Pick<ParkedKey, "namespace" | "projection" | "key">,
): Promise<void> {
  await session.query(sql.unsafe`
    delete from projection_parked where namespace = ${namespace} and projection = ${projection} and key = ${key}`);
}
