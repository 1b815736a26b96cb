import { Redis } from "ioredis";
import { ready } from "../../../streams/connect.ts";
import { ENTRY_FIELD, packEntry } from "../../../streams/entry.ts";
import { readAlone } from "../../../streams/read-alone.ts";
import { type BareSocket, openBareSocket, toCommand } from "./bare-socket.ts";
import type { Client, Contender, Input, WorkOrder } from "./contender.ts";

/**
 * The ceiling: the same commands with nothing around them, pipelined without waiting. One XADD a run with the fields of an entry and
 * one a batch with the events, written ready-made to a bare socket; XREADGROUP of 500, XACK, XDEL and the events' XADD, with two reads under way
 * at any time. No script, no check, nothing parsed, and no regard for concurrency.
 */
export const raw: Contender = { name: "raw commands", pace: 8, open };

const BATCH = 500;
const LINES_PER_ADD = 2;
const HEADER = `{"f":1,"p":"bench-1-00000000.000000","c":1,"codec":"json","d":{"v":1,"queue":"default","at":1764000000000,"type":"run.enqueued","task":"task_default"}}`;
const RUN = "019a0000-0000-7000-8000-000000000000";

async function open(url: string): Promise<Client> {
  const socket = await openBareSocket(url);
  const redis = new Redis(url, { protocol: 2 });
  const encoded = new Map<Input, string>();
  const entryOf = (input: Input) => {
    const known = encoded.get(input);
    if (known !== undefined) return known;
    const made = toEntry(JSON.stringify(input));
    encoded.set(input, made);
    return made;
  };
  let gathered: Input[] = [];
  let sending: Promise<void> | undefined;
  const sendAll = (inputs: readonly Input[]) => writeBatch(socket, inputs, entryOf);
  return {
    send(input) {
      gathered.push(input);
      sending ??= Promise.resolve().then(() => {
        const batch = gathered;
        gathered = [];
        sending = undefined;
        return sendAll(batch);
      });
      return sending;
    },
    async sendMany(inputs) {
      const batches = [];
      for (let from = 0; from < inputs.length; from += BATCH) batches.push(sendAll(inputs.slice(from, from + BATCH)));
      await Promise.all(batches);
    },
    work: (order) => work(redis, order),
    leftCount: () => redis.xlen("tasks"),
    async [Symbol.asyncDispose]() {
      socket.close();
      redis.disconnect();
    },
  };
}

function writeBatch(socket: BareSocket, inputs: readonly Input[], entryOf: (input: Input) => string): Promise<void> {
  const events = inputs.map((input) => ({ run: RUN, input }));
  const ledger = toCommand(
    "XADD",
    "events",
    "*",
    "h",
    HEADER,
    "n",
    String(events.length),
    "events",
    JSON.stringify(events),
  );
  return socket.write(inputs.map(entryOf).join("") + ledger, LINES_PER_ADD * (inputs.length + 1));
}

function toEntry(body: string): string {
  const of = { run: RUN, task: "task_default", attempt: 1, key: "", expires: 0, meta: `{"enqueuedAt":1764000000000}` };
  return toCommand("XADD", "tasks", "*", ENTRY_FIELD, packEntry({ ...of, body }));
}

/** Reads and settles until nothing is left, with two reads on their way at any time, each on a connection of its own. */
async function work(redis: Redis, { run }: WorkOrder): Promise<AsyncDisposable> {
  await redis.xgroup("CREATE", "tasks", "workers", "0", "MKSTREAM");
  const readers = [redis.duplicate(), redis.duplicate()];
  await Promise.all(readers.map((reader) => ready(reader, 5_000)));
  const input: Input = {};
  const events = readyMadeEvents();
  let isStopped = false;
  const readAndSettle = async (reader: Redis) => {
    while (!isStopped) {
      const reply = await readAlone(reader, ["GROUP", "workers", "c", "COUNT", BATCH, "STREAMS", "tasks", ">"]);
      const ids = reply?.[0]?.[1].map(([id]) => id) ?? [];
      if (ids.length === 0) return;
      for (let left = ids.length; left > 0; left -= 1) void run(input, 1);
      void redis.xack("tasks", "workers", ...ids);
      void redis.xdel("tasks", ...ids);
      void redis.xadd("events", "*", "h", HEADER, "n", String(ids.length * 2), "events", events(ids.length));
    }
  };
  const working = Promise.all(readers.map(readAndSettle));
  return {
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await working;
      for (const reader of readers) reader.disconnect();
    },
  };
}

/** The events of so many runs that started and succeeded, without making them each time. */
function readyMadeEvents(): (count: number) => string {
  const pair = `${JSON.stringify({ type: "run.started", run: RUN, waitedMs: 1 })},${JSON.stringify({ type: "run.succeeded", run: RUN, durationMs: 1 })}`;
  const whole = Array.from({ length: BATCH }, () => pair).join(",");
  return (count) => `[${count === BATCH ? whole : whole.slice(0, count * (pair.length + 1) - 1)}]`;
}
