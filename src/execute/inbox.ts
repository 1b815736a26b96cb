import { findDone, insertDone } from "../../sql/inbox-statements.ts";
import { decodeResult, encodeResult } from "../define/payload.ts";
import { type RunStatement, type SqlSession, statementRunner } from "../define/session.ts";
import type { TaskRecord } from "../define/task.ts";
import type { Deps, Provider } from "../di/provider.ts";
import { providerMisused } from "../errors.ts";
import type { RunContext } from "../run.ts";

/** A run was done already: what this attempt has written has to be rolled back, and the result is the first one's. */
export class DoneBefore extends Error {
  readonly value: unknown;
  constructor(run: string, value: unknown) {
    super(`run ${run} was done already, and has committed; this attempt is rolled back`);
    this.name = "DoneBefore";
    this.value = value;
  }
}

/** A task's dependencies with its inbox's session among them, under a name that no user writes. */
export type InboxDeps = (record: TaskRecord, inbox: Provider<SqlSession, "run">) => Deps;

const SESSION = "~inbox";

/** Makes such dependencies, the same object for a task each time: how to open them is worked out once. */
export function createInboxDeps(): InboxDeps {
  const known = new WeakMap<TaskRecord, Deps>();
  return (record, inbox) => {
    let deps = known.get(record);
    if (deps === undefined) {
      deps = { ...record.deps, [SESSION]: inbox };
      known.set(record, deps);
    }
    return deps;
  };
}

/** What a handler with an inbox is made from. `isFirst`: neither an attempt nor a delivery of the run came before this one. */
export interface Inboxed {
  readonly record: TaskRecord;
  readonly deps: Deps;
  readonly isFirst: boolean;
  readonly maxPayloadBytes: number;
}

/**
 * The task with a handler that notes in the session that its run is done, with its result, so that both commit or neither does. A run that
 * was done already is not run again; when another delivery of it commits while this one is at work, this one rolls back: DoneBefore.
 */
export function withInbox({ record, deps, isFirst, maxPayloadBytes }: Inboxed): TaskRecord {
  const { run: handler } = record;
  const run = async (input: unknown, values: Record<string, unknown>, context: RunContext) => {
    const { [SESSION]: session, ...own } = values;
    const write = statementRunner(session);
    if (!isFirst) {
      const done = await findResult(write, record, context.id);
      if (done !== undefined) return done.value;
    }
    const value: unknown = await handler?.(input, own, context);
    const json =
      value === undefined && record.output === undefined
        ? ""
        : (await encodeResult(record, value, maxPayloadBytes)).json;
    const noted = rowsOf(await write(insertDone, [context.id, json]));
    if (noted.length > 0) return value;
    throw new DoneBefore(context.id, (await findResult(write, record, context.id))?.value);
  };
  return { ...record, deps, run };
}

/** What came of a handler with an inbox: of one that found its run done when it wanted to commit, the result that is there. */
export async function doneOnce(ran: unknown, keep: (value: unknown) => unknown): Promise<unknown> {
  try {
    return await ran;
  } catch (error) {
    if (!(error instanceof DoneBefore)) throw error;
    return keep(error.value);
  }
}

/** The result of a run that is done, as its handler gave it. */
async function findResult(
  write: RunStatement,
  record: TaskRecord,
  run: string,
): Promise<{ readonly value: unknown } | undefined> {
  const [row] = rowsOf(await write(findDone, [run])) as { readonly result: string }[];
  if (row === undefined) return undefined;
  return row.result === "" ? { value: undefined } : decodeResult(record, row.result);
}

/** The rows that a session gave, in the shape of pg and slonik, or as an array. */
function rowsOf(given: unknown): readonly unknown[] {
  const rows = Array.isArray(given) ? given : (given as { readonly rows?: unknown } | null | undefined)?.rows;
  if (Array.isArray(rows)) return rows;
  throw providerMisused(
    "The session of an inbox has to give rows, as { rows } or as an array: with Prisma, $queryRawUnsafe and not $executeRawUnsafe",
  );
}
