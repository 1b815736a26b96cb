import { invalidOption, type TasktrailError } from "../errors.ts";
import { fromJson, type Place, toJson } from "./json.ts";
import { pathTo } from "./json-culprit.ts";
import { type Issue, invalidInput, invalidResult } from "./payload-errors.ts";
import type { AnySchema, Schema, SchemaIssue, SchemaResult } from "./schema.ts";
import type { TaskRecord } from "./task.ts";
import type { TopicRecord } from "./topic.ts";
import { after, type Encoded, isPromise, travelling } from "./travelling.ts";

/** A value as the handler, or the one who waits for the result, sees it. */
export interface Decoded {
  readonly value: unknown;
}

/** What reading and writing a payload needs of a task. */
type Sides = Pick<TaskRecord, "name" | "input" | "output">;

const nothing: Encoded = Object.freeze({ json: "", value: undefined });
const noInput: Decoded = Object.freeze({ value: undefined });

/**
 * What travels of an input: the schema's encoded value, or the value as given where the schema goes one way only.
 * Synchronous for synchronous schemas. Throws InvalidInput, NotJson or TooLarge; for an asynchronous schema, rejects.
 */
export function encodeInput(task: Sides, value: unknown, maxBytes: number): Encoded | Promise<Encoded> {
  if (task.input !== undefined) return encode(task.input, value, inputOf(task), maxBytes);
  if (value === undefined) return nothing;
  throw invalidInput(task.name, [{ path: "input", message: "this task takes none" }]);
}

/** The input behind a run's body, as the handler sees it. Throws NotJson when the body is unreadable, InvalidInput when it does not fit. */
export function decodeInput(task: Sides, json: string): Decoded | Promise<Decoded> {
  // A producer may be older than the task's loss of its input: what nobody reads is let pass.
  return task.input === undefined ? noInput : decode(task.input, json, inputOf(task));
}

/** What travels of a result. Without a contract, the value itself. Throws InvalidResult, NotJson or TooLarge. */
export function encodeResult(task: Sides, value: unknown, maxBytes: number): Encoded | Promise<Encoded> {
  const side = resultOf(task);
  if (task.output !== undefined) return encode(task.output, value, side, maxBytes);
  return value === undefined ? nothing : { json: toJson(value, side.place, maxBytes), value };
}

/** The result behind its JSON, as `result()` resolves to it. Throws NotJson or InvalidResult. */
export function decodeResult(task: Sides | undefined, json: string): Decoded | Promise<Decoded> {
  if (task?.output !== undefined) return decode(task.output, json, resultOf(task));
  return { value: fromJson(json, { name: "result", owner: `task "${task?.name ?? "unknown"}"` }) };
}

/** What travels of a domain event's data, checked at once. Throws InvalidInput, NotJson, TooLarge; InvalidOption for an asynchronous schema. */
export function encodeEvent(topic: TopicRecord, data: unknown, maxBytes: number): Encoded {
  const owner = `topic "${topic.name}"`;
  const invalid = (issues: readonly Issue[]) => invalidInput(topic.name, issues);
  const encoded = encode(topic.schema, data, { place: { name: "data", owner }, invalid }, maxBytes);
  if (!isPromise(encoded)) return encoded;
  encoded.catch(() => {}); // nobody waits for it any more
  throw invalidOption("schema", `${owner} has an asynchronous schema, and publish() checks at once`);
}

/** What subscribers see of a domain event's data. Throws InvalidInput. */
export function decodeEventData(topic: TopicRecord, data: unknown): Decoded | Promise<Decoded> {
  const place: Place = { name: "data", owner: `topic "${topic.name}"` };
  const side: Side = { place, invalid: (issues) => invalidInput(topic.name, issues) };
  const validated = topic.schema["~standard"].validate(data);
  return after(validated, (result) => ({ value: valueIn(result, topic.schema, side) }));
}

/** One end of a task: where it stands in messages, and what a misfit is called. */
interface Side {
  readonly place: Place;
  readonly invalid: (issues: readonly Issue[]) => TasktrailError;
}

/** The input's side of each task: asked for by every run, and always the same. */
const inputs = new WeakMap<Sides, Side>();

function inputOf(task: Sides): Side {
  let side = inputs.get(task);
  if (side === undefined) {
    const { name } = task;
    side = { place: { name: "input", owner: `task "${name}"` }, invalid: (issues) => invalidInput(name, issues) };
    inputs.set(task, side);
  }
  return side;
}

function resultOf({ name }: Sides): Side {
  return { place: { name: "result", owner: `task "${name}"` }, invalid: (issues) => invalidResult(name, issues) };
}

function encode(schema: AnySchema, given: unknown, side: Side, maxBytes: number): Encoded | Promise<Encoded> {
  const { place } = side;
  const travel = (result: SchemaResult<unknown>) =>
    travelling({ schema, given, parsed: valueIn(result, schema, side), place, maxBytes });
  return after(schema["~standard"].validate(given), travel);
}

function decode(schema: AnySchema, json: string, side: Side): Decoded | Promise<Decoded> {
  const validated = schema["~standard"].validate(fromJson(json, side.place));
  if (isPromise(validated)) return validated.then((result) => ({ value: valueIn(result, schema, side) }));
  return { value: valueIn(validated, schema, side) };
}

function valueIn(result: SchemaResult<unknown>, schema: Schema, { place, invalid }: Side): unknown {
  if (result.issues === undefined) return result.value;
  const { vendor } = schema["~standard"];
  throw invalid(
    result.issues.map((issue) => ({ path: pathOf(issue, place), message: withoutValues(issue.message, vendor) })),
  );
}

function pathOf(issue: SchemaIssue, place: Place): string {
  let path: string = place.name;
  for (const step of issue.path ?? []) path = pathTo(path, typeof step === "object" ? step.key : step);
  return path;
}

/** Some libraries quote the value in their messages, which may be a password, and messages end in logs and ledgers. */
function withoutValues(message: string, vendor: string): string {
  if (vendor === "valibot") return message.replace(/(?: but received |: Received ).*$/s, "");
  return vendor === "arktype" ? message.replace(/ \(was .*\)$/s, "") : message;
}
