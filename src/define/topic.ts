// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
import { isKeyPart } from "../../streams/keys.ts";
import { invalidOption } from "../errors.ts";
import type { JsonOr } from "./json-check.ts";
import { type AnySchema, type InputOf, isSchema, type OutputOf } from "./schema.ts";

/** A domain event as subscribers see it: CloudEvents 1.0. */
export interface DomainEvent<Data> {
  readonly id: string;
  /** The topic's name. */
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  readonly subject?: string;
  readonly data: Data;
}

/** What a task can be subscribed to: a topic, or one whose events are turned into something else. */
export interface Subscribable<out Payload> {
  readonly name: string;
  readonly "~data"?: { readonly out: Payload };
}

/** A stream of domain events of one type. */
export interface Topic<in out Data, out Payload = Data> {
  readonly kind: "tasktrail.topic";
  readonly name: string;
  /** The same stream, each event turned into the input that a task wants. */
  map<Mapped>(fn: (event: DomainEvent<Payload>) => Mapped): Subscribable<Mapped>;
  readonly "~data"?: { readonly in: Data; readonly out: Payload };
}

/** A topic as the engine sees it. */
export interface TopicRecord {
  readonly kind: "tasktrail.topic";
  readonly name: string;
  readonly schema: AnySchema;
  /** Absent for the topic itself, whose events' data are a task's input as they are. */
  readonly mapped?: ((event: DomainEvent<any>) => unknown) | undefined;
}

/** Declares a stream of domain events. `name` is what subscribers know it by, such as "user.created". Throws InvalidOption. */
export function topic<S extends AnySchema>(
  name: string,
  schema: S & JsonOr<InputOf<S>, unknown, "data">,
): Topic<InputOf<S>, OutputOf<S>> {
  if (typeof name !== "string" || !isKeyPart(name)) {
    throw invalidOption("name", `a topic's name is 1 to 100 characters, none of them white space, ":", "{" or "}"`);
  }
  if (!isSchema(schema)) throw invalidOption("schema", `topic "${name}" needs a schema, such as z.object({ … })`);
  const record: TopicRecord = { kind: "tasktrail.topic", name, schema };
  const map = (mapped: TopicRecord["mapped"]) => {
    if (typeof mapped !== "function") throw invalidOption("map", `topic "${name}" needs a function: (event) => input`);
    return { ...record, mapped };
  };
  return { ...record, map } as unknown as Topic<InputOf<S>, OutputOf<S>>;
}

/** Publishes domain events from inside a run. */
export interface EventPublisher {
  /** Checks now, publishes once the run's providers have committed; not at all when they roll back. Throws InvalidInput. */
  publish<Data>(
    topic: Topic<Data, any>,
    data: NoInfer<Data>,
    options?: { readonly subject?: string | undefined; readonly id?: string | undefined },
  ): void;
}
