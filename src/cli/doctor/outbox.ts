import type { DatabasePool } from "slonik";
import { listOutbox } from "../../../sql/queries/outbox.ts";
import { counted, lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn } = findings("Postgres");

/** A row that has waited for so long waits for more than its turn, in ms. */
const LONG_MS = 30_000;

/** The outbox: what waits for a relay, and what it had to set aside. */
export async function checkOutbox(pool: DatabasePool, namespace: string): Promise<Finding[]> {
  const lanes = await listOutbox(pool, namespace);
  const sum = (of: "waiting" | "parked") => lanes.reduce((total, lane) => total + lane[of], 0);
  const [waiting, parked] = [sum("waiting"), sum("parked")];
  const oldest = Math.max(0, ...lanes.map(({ oldestWaitingMs }) => oldestWaitingMs ?? 0));
  const stuck = lanes.filter(({ oldestWaitingMs }) => (oldestWaitingMs ?? 0) > LONG_MS);
  const found: Finding[] = [];
  if (stuck.length > 0) {
    const isOwned = stuck.every(({ owner }) => owner !== null);
    found.push(
      warn(
        `the outbox is stuck: ${counted(waiting, "row")} to be sent, the oldest written ${lengthWords(oldest)} ago`,
        isOwned
          ? "A relay has them and does not get them to Redis: see what it logs."
          : "No relay is at work: run tasktrail projector, or tasktrail relay.",
      ),
    );
  } else found.push(ok(`the outbox flows: ${counted(waiting, "row")} to be sent`));
  if (parked > 0)
    found.push(
      warn(
        `${counted(parked, "row")} of the outbox parked, since nobody could read them`,
        "select id, item, error from tasktrail_outbox where parked_at is not null: mend the record and set parked_at to null, or delete the row.",
      ),
    );
  return found;
}
