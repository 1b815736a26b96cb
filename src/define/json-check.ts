// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore lint/suspicious/noConfusingVoidType: what a handler without a result returns
type Scalar = string | number | boolean | null | undefined | void;

/**
 * The first types inside T that JSON has not; never when it survives.
 * Without a path, so that the compiler caches it per type: with one, a few model types that refer to each other cost seconds.
 */
export type Culprit<T, Depth extends 0[] = []> = 0 extends 1 & T
  ? never
  : unknown extends T
    ? never
    : T extends Scalar
      ? never
      : T extends
            | bigint
            | symbol
            | Date
            | ReadonlyMap<any, any>
            | ReadonlySet<any>
            | PromiseLike<any>
            | ArrayBuffer
            | ArrayBufferView
            | ((...args: any) => any)
        ? T
        : Depth["length"] extends 6
          ? never
          : T extends readonly (infer Item)[]
            ? Culprit<Item, [...Depth, 0]>
            : { [K in keyof T]-?: Culprit<T[K], [...Depth, 0]> }[keyof T];

/** Why a type does not survive JSON, as a sentence with the path of the culprit; never when it does. `any` and `unknown` pass, and are checked at run time. */
export type NotJson<T, Path extends string, Depth extends 0[] = []> = 0 extends 1 & T
  ? never
  : unknown extends T
    ? never
    : T extends Scalar
      ? never
      : T extends bigint
        ? `${Path} is a bigint, which JSON has not: use a string`
        : T extends symbol
          ? `${Path} is a symbol, which JSON has not`
          : T extends Date
            ? `${Path} is a Date, which JSON has not: use a string, as date.toISOString() gives`
            : T extends ReadonlyMap<any, any>
              ? `${Path} is a Map, which JSON has not: use an object, as Object.fromEntries(map) gives`
              : T extends ReadonlySet<any>
                ? `${Path} is a Set, which JSON has not: use an array, as [...set] gives`
                : T extends { readonly id: string; result(options?: any): Promise<any> }
                  ? `${Path} is a run handle: use its id, or await its result()`
                  : T extends PromiseLike<any>
                    ? `${Path} is a promise: await it`
                    : T extends ArrayBuffer | ArrayBufferView
                      ? `${Path} is binary, which JSON has not: store it and pass a reference`
                      : T extends (...args: any) => any
                        ? `${Path} is a function, which JSON has not`
                        : Depth["length"] extends 6
                          ? never
                          : T extends readonly (infer Item)[]
                            ? NotJson<Item, `${Path}[]`, [...Depth, 0]>
                            : {
                                [K in keyof T]-?: K extends string | number
                                  ? NotJson<T[K], `${Path}.${K}`, [...Depth, 0]>
                                  : never;
                              }[keyof T];

/** Adds nothing to a definition when T survives JSON; else makes `Property` impossible, with the reason as its type. */
export type JsonCheck<T, Property extends string, Path extends string> = [Culprit<T>] extends [never]
  ? unknown
  : { readonly [K in Property]: NotJson<T, Path> };
/** The same for a bare argument. */
export type JsonOr<T, Allowed, Path extends string> = [Culprit<T>] extends [never] ? Allowed : NotJson<T, Path>;
