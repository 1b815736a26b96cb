import type { EnqueueRecord } from "../../streams/enqueue.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Parcel } from "../../streams/packed.ts";
import { OF_DISPATCH } from "../../streams/trace-ids.ts";
import type { CurrentRun } from "../current-run.ts";

/** A dispatch of which nothing was said but its input, of a task's first version. */
export interface PlainDispatch {
  /** An id of ours: it goes into JSON as it is. */
  readonly run: string;
  readonly task: string;
  /** The input, as it travels. */
  readonly parcel: Parcel;
  readonly nowMs: number;
  readonly parent: Pick<CurrentRun, "run" | "root"> | undefined;
  readonly traceparent: string | undefined;
  readonly isOfMany: boolean;
}

/** What goes to Redis for a plain dispatch. Its texts are put together by hand, since nearly all dispatches are such: to have JSON write them was a sixth of a dispatch in bulk. */
export function plainRecord(dispatch: PlainDispatch): EnqueueRecord {
  const { run, task, parcel, nowMs, parent, traceparent, isOfMany } = dispatch;
  const event: Writable<EventDraft<"run.enqueued"> & Parcel["event"]> =
    traceparent === undefined ? { type: "run.enqueued", run, task } : { type: "run.enqueued", run, task, traceparent }; // at once: it would grow
  if (parcel.event.packed !== undefined) event.packed = parcel.event.packed;
  let shared = ""; // by the entry's meta and the event
  let traced = "";
  if (parent !== undefined) {
    event.parent = parent.run;
    event.root = parent.root;
    shared = `,"parent":${JSON.stringify(parent.run)},"root":${JSON.stringify(parent.root)}`;
  }
  if (traceparent !== undefined) {
    traced = traceparent === OF_DISPATCH ? OF_DISPATCH_TEXT : `,"traceparent":${JSON.stringify(traceparent)}`;
    if (isOfMany) {
      event.isOfMany = true;
      traced += ',"isOfMany":true';
    }
  }
  const { codec } = parcel.meta;
  return {
    run,
    task,
    meta: `{"enqueuedAt":${nowMs}${codec === undefined ? "" : `,"codec":"${codec}"`}${shared}${traced}}`,
    body: parcel.body,
    expires: 0,
    dueAt: 0,
    key: undefined,
    event,
    eventJson: `"run":"${run}"${shared}${inputOf(parcel)}`,
  };
}

const OF_DISPATCH_TEXT = `,"traceparent":"${OF_DISPATCH}"`;

/** As the event's member. Base64 needs no escape. */
function inputOf({ event, inputJson }: Parcel): string {
  if (event.packed !== undefined) return `,"packed":"${event.packed}"`;
  return inputJson === undefined ? "" : `,"input":${inputJson}`;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
