import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { EntryMeta } from "./entry.ts";

/** Inputs of fewer characters travel as they are: below, packing takes longer than what it saves. */
export const PACK_FROM_LENGTH = 2_048;
/** What packing must leave at most, as a share: an input that hardly shrinks, such as an image or a ciphertext, travels as it is. */
const WORTH_IT = 0.75;
/** The largest input that is unpacked, in bytes: a stream that anyone else has written to must not fill our memory. */
const MOST_BYTES = 268_435_456;
/** Of zstd's levels the quickest but one: the higher ones take twice the time for a twentieth of the size. */
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Up to so many characters, what is sized for large inputs would cost more to clear than to use: a fifth of the time. */
const SMALL = 16_384;
const SMALL_OPTIONS = {
  params: { ...OPTIONS.params, [constants.ZSTD_c_windowLog]: 14, [constants.ZSTD_c_hashLog]: 12 },
  chunkSize: 8_192,
};

/**
 * An input on its way: the entry's body, what its `meta` says of it, and what the event tells. An input of 2 KiB or more goes as base64 of
 * zstd where that makes it smaller by a quarter at least. It is packed once, and lies twice in Redis: in the entry, and in the ledger.
 */
export interface Parcel {
  readonly body: string;
  readonly meta: Pick<EntryMeta, "codec">;
  readonly event: { readonly packed?: string };
  /** JSON of the input that goes into the event as the text that it is: to parse it and write it again was a seventh of a dispatch. */
  readonly inputJson?: string;
}

const none: Parcel = Object.freeze({ body: "", meta: {}, event: {} });

/** What is known to be the JSON of an input, packed; undefined for one that travels as it is. */
export function packedOf(json: string): string | undefined {
  return json.length < PACK_FROM_LENGTH ? undefined : pack(json);
}

/** Packs what is known to be the JSON of an input; empty for none. */
export function toParcel(json: string): Parcel {
  if (json === "") return none;
  const packed = packedOf(json);
  if (packed === undefined) return { body: json, meta: {}, event: {}, inputJson: json };
  return { body: packed, meta: { codec: "zstd" }, event: { packed } };
}

/** Whether this version can read bodies of a codec. */
export function isKnownCodec(codec: unknown): boolean {
  return codec === undefined || codec === "json" || codec === "zstd";
}

/** The JSON of the input in a body. Throws when it was packed and cannot be unpacked. */
export function bodyOf(entry: { readonly body: string }, { codec }: Pick<EntryMeta, "codec">): string {
  return codec === "zstd" ? unpack(entry.body) : entry.body;
}

/**
 * A ledger entry as it is read: its packed inputs are unpacked, so that only Redis and what reads its streams by itself ever see them.
 * What cannot be unpacked stays as it is.
 */
export function unpackInputs<Entry extends { readonly header: string; readonly events: string }>(entry: Entry): Entry {
  if (!entry.events.includes('"packed":"')) return entry;
  try {
    const events = JSON.parse(entry.events) as unknown[];
    const { d } = JSON.parse(entry.header) as { readonly d?: { readonly type?: unknown } };
    return { ...entry, events: JSON.stringify(events.map((event) => unpackEvent(event, d?.type))) };
  } catch {
    return entry;
  }
}

/** `shared`: the type of an event that tells none, as its batch's header has it. */
function unpackEvent(event: unknown, shared: unknown): unknown {
  const { packed, ...rest } = event as { readonly type?: unknown; readonly packed?: unknown };
  const { type } = { type: shared, ...rest };
  if (type !== "run.enqueued" || typeof packed !== "string") return event;
  try {
    return { ...rest, input: JSON.parse(unpack(packed)) };
  } catch {
    return event;
  }
}

function pack(json: string): string | undefined {
  const packed = zstdCompressSync(json, json.length <= SMALL ? SMALL_OPTIONS : OPTIONS).toString("base64");
  return packed.length <= json.length * WORTH_IT ? packed : undefined;
}

function unpack(packed: string): string {
  return zstdDecompressSync(Buffer.from(packed, "base64"), { maxOutputLength: MOST_BYTES }).toString();
}
