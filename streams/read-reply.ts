import { isAscii as isAsciiPiece } from "node:buffer";

/** An entry as Redis tells of it: its id and its fields, names and values in turn; null for one that was delivered and is gone. */
export type RawEntry = [id: string, fields: string[] | null];
/** What XREADGROUP answers: the entries of each stream that has any; null for none. */
export type RawStreams = [key: string, entries: RawEntry[]][] | null;

/** Gathers the answer to one XREADGROUP, in the shapes of RESP2, from the pieces in which a socket gives it. */
export interface ReadReply {
  /** Takes the next piece. The answer, once it is whole; an error when Redis says one, or what came is no such answer. */
  take(piece: Buffer): { readonly streams: RawStreams } | { readonly error: Error } | undefined;
}

const STRANGE = "the answer to a read is none that this version knows";
const STAR = 42;
const MINUS = 45;
const ZERO = 48;
const NULL_LENGTH = "-1\r\n".length;
const LINE_END = 2;

/** What is asked for has not come whole yet. */
const MISSING = -2;
const NULL = -1;

/**
 * Values are cut from the text of a whole piece, and not decoded one by one: a driver that makes a buffer of each, and a string of that,
 * spends more on an entry than running it takes. An entry that a piece cuts in two is begun again with the next one.
 */
export function createReadReply(): ReadReply {
  let text = "";
  let at = 0;
  let isAscii = true;
  let streamsLeft: number | undefined;
  let entriesLeft = 0;
  const streams: [string, RawEntry[]][] = [];

  /** The number in a line such as `*2`. */
  const readNumber = (): number => {
    let end = at + 1;
    if (text.charCodeAt(end) === MINUS) {
      if (end + NULL_LENGTH > text.length) return MISSING;
      at = end + NULL_LENGTH;
      return NULL;
    }
    let value = 0;
    for (let digit = text.charCodeAt(end) - ZERO; digit >= 0 && digit <= 9; digit = text.charCodeAt(end) - ZERO) {
      value = value * 10 + digit;
      end += 1;
    }
    if (end + LINE_END > text.length) return MISSING;
    at = end + LINE_END;
    return value;
  };
  const readText = (): string | undefined => {
    const length = readNumber();
    const end = at + length;
    if (length < 0 || end + LINE_END > text.length) return undefined;
    const value = text.slice(at, end);
    at = end + LINE_END;
    return isAscii ? value : toUtf8(value);
  };
  /** A text, and what follows it. */
  const readPair = <T>(readSecond: () => T | undefined): [string, T] | undefined => {
    const first = readText();
    const second = first === undefined ? undefined : readSecond();
    return first === undefined || second === undefined ? undefined : [first, second];
  };
  /** An entry, or the key of a stream with how many follow. What has not come whole yet is begun again. */
  const readWhole = <T>(readSecond: () => T | undefined): [string, T] | undefined => {
    const from = at;
    const pair = readNumber() === MISSING ? undefined : readPair(readSecond);
    if (pair === undefined) at = from;
    return pair;
  };
  const readFields = (): string[] | null | undefined => {
    const count = readNumber();
    if (count === NULL) return null;
    if (count === MISSING) return undefined;
    if (count === 2) return readPair(readText); // ours: an array that is made empty, and grows, would take room for 17
    const fields: string[] = [];
    while (fields.length < count) {
      const field = readText();
      if (field === undefined) return undefined;
      fields.push(field);
    }
    return fields;
  };
  const readCount = () => {
    const count = readNumber();
    return count === MISSING ? undefined : count;
  };
  const readOn = (): { readonly streams: RawStreams } | undefined => {
    streamsLeft ??= readCount();
    if (streamsLeft === undefined) return undefined;
    if (streamsLeft === NULL) return { streams: null };
    while (streamsLeft > 0 || entriesLeft > 0) {
      if (entriesLeft === 0) {
        const stream = readWhole(readCount);
        if (stream === undefined) return undefined;
        streamsLeft -= 1;
        entriesLeft = stream[1];
        streams.push([stream[0], []]);
        continue;
      }
      const entry = readWhole(readFields);
      if (entry === undefined) return undefined;
      (streams.at(-1) as [string, RawEntry[]])[1].push(entry);
      entriesLeft -= 1;
    }
    return { streams };
  };

  return {
    take(piece) {
      const more = piece.toString("latin1");
      text = at === text.length ? more : text.slice(at) + more;
      at = 0;
      isAscii &&= isAsciiPiece(piece);
      if (streamsLeft !== undefined || text.charCodeAt(0) === STAR) return readOn();
      const end = text.indexOf("\r\n");
      return end < 0 ? undefined : { error: new Error(text.charCodeAt(0) === MINUS ? text.slice(1, end) : STRANGE) };
    },
  };
}

function toUtf8(bytes: string): string {
  return /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}
