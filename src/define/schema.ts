// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
/** A schema: zod 4, or anything that speaks Standard Schema v1 (zod 3.24+, valibot, arktype). */
export interface Schema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, options?: any) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}
/** A schema of whatever. */
export type AnySchema = Schema<any, any>;
/** What a schema answers: the parsed value, or what is wrong with the one it was given. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };
/** One thing that a schema found wrong. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
/** What travels: the schema's type before transforms and defaults. */
export type InputOf<S> = S extends Schema<infer Input, any> ? Input : never;
/** What a handler sees: the schema's type after transforms and defaults. */
export type OutputOf<S> = S extends Schema<any, infer Output> ? Output : never;

/** A schema that types and checks nothing but JSON. For producers that have the worker's types only, and for those who use no schema library. */
export function unchecked<T>(): Schema<T> {
  return { "~standard": { version: 1, vendor: "tasktrail", validate: (value) => ({ value: value as T }) } };
}

/** True when a value speaks Standard Schema v1. */
export function isSchema(value: unknown): value is AnySchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as { readonly "~standard"?: unknown })["~standard"] as
    | Partial<Schema["~standard"]>
    | undefined;
  return standard?.version === 1 && typeof standard.validate === "function";
}
