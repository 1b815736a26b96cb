import { isDeepStrictEqual } from "node:util";
import { EVENT_VERSION, type EventType, type LedgerEvent } from "../../streams/events.ts";
import type { AnyDefinition } from "../define/projection.ts";
import { invalidOption } from "../errors.ts";

/** Where the clock of a test's events begins. */
const AT = Date.UTC(2026, 0, 1);
/** Between batches, rows go to the table and come back. */
const BATCHES = [1, 2, 7];

type Row = Readonly<Record<string, unknown>>;
type Given = Partial<LedgerEvent> & { readonly type: EventType };

/** Folds events in one batch, and again, and in others; gives the rows. Throws InvalidOption when that is not all the same, or a row is not as it must be. */
export function foldChecked(definition: AnyDefinition, given: readonly Given[]): Map<string, Row> {
  const events = given.map(whole);
  const rows = foldOnce(definition, events, events.length);
  for (const [size, what] of [
    [events.length, "a second pass"],
    ...BATCHES.map((size) => [size, `batches of ${size}`]),
  ] as [number, string][]) {
    const again = foldOnce(definition, events, size);
    if (isDeepStrictEqual(again, rows)) continue;
    const key = [...rows.keys(), ...again.keys()].find((one) => !isDeepStrictEqual(again.get(one), rows.get(one)));
    throw impure(
      definition,
      `${what} gave another row ${key}: ${JSON.stringify(again.get(key as string))} instead of ${JSON.stringify(rows.get(key as string))}`,
    );
  }
  return rows;
}

function whole(event: Given, index: number): LedgerEvent {
  const at = AT + index * 1_000;
  return {
    v: EVENT_VERSION,
    at,
    queue: "default",
    position: `default/test/${event.at ?? at}-0/${index}`,
    ...event,
  } as LedgerEvent;
}

function foldOnce(definition: AnyDefinition, events: readonly LedgerEvent[], batchSize: number): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const [index, event] of events.entries()) {
    if (index % Math.max(batchSize, 1) === 0)
      for (const [key, row] of rows) rows.set(key, frozen(structuredClone(row)));
    if (definition.events !== undefined && !definition.events.includes(event.type)) continue;
    const key = definition.key(event);
    if (key === undefined) continue;
    const next = foldRow(definition, rows.get(key), event);
    if (next !== undefined) rows.set(key, frozen(checked(definition, key, next)));
  }
  return rows;
}

function foldRow(definition: AnyDefinition, row: Row | undefined, event: LedgerEvent): Row | undefined {
  try {
    return definition.fold(row, event) as Row | undefined;
  } catch (error) {
    if (error instanceof TypeError && /read only|not extensible|Cannot (assign|delete|add)/.test(error.message))
      throw impure(
        definition,
        `fold changes the row that it was given (${error.message}): give a new one, as { ...row, count: row.count + 1 }`,
      );
    throw error;
  }
}

/** The row that the schema makes of it. */
function checked(definition: AnyDefinition, key: string, row: Row): Row {
  const result = definition.table.row["~standard"].validate(row);
  if (result instanceof Promise)
    throw invalidOption(
      "table.row",
      `the schema of projection "${definition.name}" answers with a promise, and a fold cannot wait`,
    );
  if (result.issues !== undefined) {
    const said = result.issues
      .map(({ path, message }) => `${path?.map(String).join(".") ?? ""}: ${message}`)
      .join("; ");
    throw impure(definition, `the row of ${key} does not fit its schema: ${said}`);
  }
  if (!Object.values(row).some((value) => String(value) === key))
    throw impure(definition, `the row of ${key} does not hold its key`);
  return row;
}

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !(value instanceof Date) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

function impure({ name }: AnyDefinition, why: string) {
  return invalidOption("projection", `projection "${name}": ${why}`);
}
