import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { createGunzip, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib";
import type { BatchHeader, LedgerEntry, Shared } from "../streams/ledger.ts";
import { inFull } from "../streams/trace-ids.ts";

/** The format of exported ledgers that this version writes, and the newest that it reads. */
export const EXPORT_FORMAT = 1;

/** The first line of an exported ledger. */
export interface ExportHead {
  readonly tasktrail: "ledger";
  readonly format: number;
  readonly namespace: string;
  /** In ms since 1970. */
  readonly exportedAt: number;
  /** False: only some events of its entries were asked for. */
  readonly isWhole: boolean;
}

/** An entry as it is exported: a line each, after the head. */
export interface ExportedEntry {
  readonly queue: string;
  readonly incarnation: string;
  readonly id: string;
  /** The batch's header and its events as JSON; as texts, where they are none. */
  readonly header: unknown;
  readonly events: unknown;
}

/** How an exported ledger is packed. */
export type Packing = "none" | "gzip" | "zstd";

/** By the end of a file's name: `.gz` and `.zst` are packed. */
export function packingOf(file: string): Packing {
  return file.endsWith(".gz") ? "gzip" : file.endsWith(".zst") ? "zstd" : "none";
}

/** An entry with its place, as a line. What its header shares out among events of runs they say themselves, so that whoever has the file alone can pick events by it. */
export function toExported(queue: string, incarnation: string, { id, header, events }: LedgerEntry): ExportedEntry {
  const head = parsed(header);
  return { queue, incarnation, id, header: head, events: spelledOut(parsed(events), head) };
}

function spelledOut(events: unknown, head: unknown): unknown {
  const { type, task, attempt, delivery, isOfMany, traceparent } = (head as Partial<BatchHeader>).d ?? {};
  if (!Array.isArray(events)) return events;
  return events.map((event: unknown) => {
    if (typeof event !== "object" || event === null || Array.isArray(event)) return event;
    const whole: Shared & { readonly run?: string } = {
      type,
      task,
      attempt,
      delivery,
      isOfMany,
      traceparent,
      ...event,
    };
    return whole.traceparent === undefined ? whole : { ...whole, traceparent: inFull(whole.traceparent, whole) };
  });
}

/** The entry that a line was made of. */
export function fromExported({ id, header, events }: ExportedEntry): LedgerEntry {
  const count = Array.isArray(events) ? events.length : 0;
  return { id, header: textOf(header), count, events: textOf(events) };
}

function parsed(text: string): unknown {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Where an exported ledger goes. */
export interface ExportSink {
  /** Waits while what is behind it cannot take more. */
  write(line: ExportHead | ExportedEntry): Promise<void>;
  /** Resolves once all of it is written. */
  end(): Promise<void>;
}

/** Opens a file for an exported ledger, or goes on with a stream of the caller's, which is not ended. Throws what the file system says. */
export function openExport(to: string | Writable, packing: Packing): ExportSink {
  const target = typeof to === "string" ? createWriteStream(to) : to;
  const packer = packing === "gzip" ? createGzip() : packing === "zstd" ? createZstdCompress() : new PassThrough();
  packer.pipe(target, { end: typeof to === "string" });
  const failure = new Promise<never>((_, reject) => target.once("error", reject));
  failure.catch(() => {});
  return {
    async write(line) {
      if (packer.write(`${JSON.stringify(line)}\n`)) return;
      await Promise.race([new Promise<void>((resolve) => packer.once("drain", resolve)), failure]);
    },
    async end() {
      packer.end();
      await Promise.race([finished(typeof to === "string" ? target : packer), failure]);
    },
  };
}

/** What is wrong with an exported ledger. */
export class ExportUnreadable extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options);
    this.name = "ExportUnreadable";
  }
}

/** Reads an exported ledger: its head, and then its entries, a line at a time. Throws ExportUnreadable. */
export async function readExport(
  from: string | Readable,
  packing: Packing,
): Promise<{ readonly head: ExportHead; readonly entries: AsyncGenerator<ExportedEntry, void> }> {
  const source = typeof from === "string" ? createReadStream(from) : from;
  const unpacker =
    packing === "gzip" ? createGunzip() : packing === "zstd" ? createZstdDecompress() : new PassThrough();
  source.once("error", (error: Error) => unpacker.destroy(error));
  const lines = createInterface({ input: source.pipe(unpacker), crlfDelay: Number.POSITIVE_INFINITY })[
    Symbol.asyncIterator
  ]();
  const next = async () => {
    try {
      const { value, done } = await lines.next();
      return done === true ? undefined : (JSON.parse(value as string) as unknown);
    } catch (cause) {
      throw new ExportUnreadable(`a line cannot be read: ${(cause as Error).message}`, { cause });
    }
  };
  const head = (await next()) as ExportHead | undefined;
  if (head?.tasktrail !== "ledger")
    throw new ExportUnreadable("this is no exported ledger: its first line says something else");
  if (head.format > EXPORT_FORMAT)
    throw new ExportUnreadable(
      `it is in format ${head.format}, and this version reads up to ${EXPORT_FORMAT}: update tasktrail here`,
    );
  return { head, entries: entriesOf(next) };
}

async function* entriesOf(next: () => Promise<unknown>): AsyncGenerator<ExportedEntry, void> {
  for (;;) {
    const line = (await next()) as ExportedEntry | undefined;
    if (line === undefined) return;
    if (typeof line.queue !== "string" || typeof line.incarnation !== "string" || !/^\d+-\d+$/.test(line.id))
      throw new ExportUnreadable(`a line is no entry: ${JSON.stringify(line).slice(0, 100)}`);
    yield line;
  }
}
