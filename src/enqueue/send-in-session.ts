import { insertOutbox, type OutboxRow, outboxLane } from "../../sql/outbox-insert.ts";
import { createRunIds, type RunIds } from "../../streams/ids.ts";
import { currentRun } from "../current-run.ts";
import { encodeInput } from "../define/payload.ts";
import { checkedKey, resolveDispatch } from "../define/resolve-dispatch.ts";
import { onceCommitted, statementRunner } from "../define/session.ts";
import { noOutbox } from "../errors.ts";
import type { Carrier } from "../middleware.ts";
import { aroundSend, sendHooks } from "./around-send.ts";
import { encodeDispatch } from "./encode-outbox.ts";
import type { SendParts, SendRequest } from "./send.ts";

/** A run that a transaction has written. */
export interface Written {
  readonly run: string;
  readonly queue: string;
}

/** What writing dispatches into sessions works with. */
export interface SessionSenderParts extends Pick<SendParts, "maxPayloadBytes" | "middleware" | "announce"> {
  readonly namespace: () => string;
  /** Redis' clock as far as it is known: Redis is not asked. */
  readonly nowMs: () => number;
  /** Called once a session has committed, if that can be seen. */
  readonly onCommit: () => void;
}

/**
 * Dispatches by writing rows into the session of the request, in one statement; Redis is not needed. Ids are drawn before.
 * Throws InvalidOption, InvalidInput, NotJson and TooLarge before anything is written, and what the session throws.
 */
export function createSessionSender(parts: SessionSenderParts): (request: SendRequest) => Promise<Written[]> {
  const runIds = new Map<string, RunIds>();
  const watched = new WeakSet<object>();
  const idsOf = (queue: string): RunIds => {
    const known = runIds.get(queue) ?? createRunIds(queue);
    runIds.set(queue, known);
    return known;
  };
  return async ({ task, inputs, options, keyOf }) => {
    const { session } = options;
    const write = statementRunner(session);
    const said = resolveDispatch(options);
    const ready: { readonly body: string; readonly key: string | undefined }[] = [];
    for (const input of inputs) {
      const key = keyOf === undefined ? said.key : checkedKey(keyOf(input));
      ready.push({ body: (await encodeInput(task, input, parts.maxPayloadBytes())).json, key });
    }
    if (ready.length === 0) return [];
    const queue = said.queue ?? task.queue;
    const lane = outboxLane(parts.namespace(), queue);
    const runs = ready.map(() => idsOf(queue)(Math.trunc(parts.nowMs())));
    const parent = currentRun.getStore();
    const isOfMany = ready.length > 1;
    const dispatch = async (carrier: Carrier | undefined) => {
      const rows = ready.map(({ body, key }, index): OutboxRow => {
        const run = runs[index] as string;
        return { lane, item: run, record: encodeDispatch({ task, run, body, said, key, carrier, isOfMany }, parent) };
      });
      await writeRows(write, rows);
      if (typeof session === "object" && !watched.has(session)) {
        watched.add(session);
        onceCommitted(session, parts.onCommit);
      }
      return runs.map((run) => ({ run, queue }));
    };
    const hooks = sendHooks(parts.middleware());
    if (hooks.length === 0) return dispatch(undefined);
    return aroundSend({ hooks, sending: { task: task.name, queue, runs }, dispatch, announce: parts.announce });
  };
}

/** Writes rows into an open transaction. Throws what the session throws, with a word on what to do when the table is missing. */
export async function writeRows(write: ReturnType<typeof statementRunner>, rows: readonly OutboxRow[]): Promise<void> {
  try {
    await write(insertOutbox, [JSON.stringify(rows)]);
  } catch (error) {
    throw isMissingTable(error) ? noOutbox(error) : error;
  }
}

function isMissingTable(error: unknown): boolean {
  for (let one = error, depth = 0; depth < 5; one = (one as { cause?: unknown } | undefined)?.cause, depth += 1) {
    if (one instanceof Error && /tasktrail_outbox\b.*does not exist/.test(one.message)) return true;
    if ((one as { code?: unknown } | undefined)?.code === "42P01") return true;
  }
  return false;
}
