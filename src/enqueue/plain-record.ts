import type { PlainHead, PlainRecord } from "../../streams/enqueue-record.ts";
import { packEntry } from "../../streams/entry.ts";
import { packedOf } from "../../streams/packed.ts";
import type { CurrentRun } from "../current-run.ts";

/** What plain dispatches may have in common. */
export interface PlainSource {
  readonly task: string;
  readonly nowMs: number;
  readonly parent: Pick<CurrentRun, "run" | "root"> | undefined;
  readonly traceparent: string | undefined;
  readonly isOfMany: boolean;
}

/** How a body is written: as JSON, packed, or not at all. */
type BodyKind = "json" | "zstd" | "none";

/** Makes plain records; those that have the same in common one after the other share one object for it. */
export type PlainRecords = (run: string, json: string, source: PlainSource) => PlainRecord;

/** Makes what makes plain records. Nearly all dispatches are such, and those of a millisecond differ in run and input alone: to have JSON write the texts of each was a sixth of a dispatch in bulk. */
export function createPlainRecords(): PlainRecords {
  let last: { readonly source: PlainSource; readonly kind: BodyKind; readonly head: PlainHead } | undefined;
  return (run, json, source) => {
    const packed = packedOf(json);
    const kind = packed !== undefined ? "zstd" : json === "" ? "none" : "json";
    if (last === undefined || last.kind !== kind || !isSame(last.source, source))
      last = { source, kind, head: headOf(source, kind) };
    return new Plain(run, packed ?? json, last.head);
  };
}

/** Of a class: see OnItsWay. */
class Plain implements PlainRecord {
  declare readonly run: string;
  declare readonly body: string;
  declare readonly head: PlainHead;
  constructor(run: string, body: string, head: PlainHead) {
    this.run = run;
    this.body = body;
    this.head = head;
  }
}

function isSame(a: PlainSource, b: PlainSource): boolean {
  if (a === b) return true;
  const isAlike = a.nowMs === b.nowMs && a.task === b.task && a.isOfMany === b.isOfMany;
  return isAlike && a.parent === b.parent && a.traceparent === b.traceparent;
}

function headOf({ task, nowMs, parent, traceparent, isOfMany }: PlainSource, kind: BodyKind): PlainHead {
  const event: Writable<PlainHead["event"]> = { type: "run.enqueued", task };
  let shared = ""; // by the entry's meta and the event
  let traced = ""; // what the event may leave to its batch's header
  if (parent !== undefined) {
    event.parent = parent.run;
    event.root = parent.root;
    shared = `,"parent":${JSON.stringify(parent.run)},"root":${JSON.stringify(parent.root)}`;
  }
  if (traceparent !== undefined) {
    event.traceparent = traceparent;
    traced = `,"traceparent":${JSON.stringify(traceparent)}`;
    if (isOfMany) {
      event.isOfMany = true;
      traced += ',"isOfMany":true';
    }
  }
  const codec = kind === "zstd" ? ',"codec":"zstd"' : "";
  const meta = `{"enqueuedAt":${nowMs}${codec}${shared}${traced}}`;
  const [before, after] = AROUND_BODY[kind];
  const packed = packEntry({ run: "", task, attempt: 1, key: "", expires: 0, meta, body: "" });
  const entry = packed.slice(packed.indexOf("\0") + 1); // after the version, and the run that stands there
  return { meta, entry, beforeBody: `${shared}${before}`, afterBody: after, event };
}

/** What stands around the body in the event's JSON. Base64 needs no escape. */
const AROUND_BODY: Readonly<Record<BodyKind, readonly [before: string, after: string]>> = {
  json: [',"input":', "}"],
  zstd: [',"packed":"', '"}'],
  none: ["", "}"],
};

type Writable<T> = { -readonly [K in keyof T]: T[K] };
