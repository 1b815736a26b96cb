import { isKeyPart } from "../../streams/keys.ts";
import { KEY_PART_RULE } from "../defaults.ts";
import { invalidOption } from "../errors.ts";
import { shown, wholeNumber } from "./options.ts";
import { isSchema } from "./schema.ts";

/** What checks read of a task, a cron or a contract, before anything of it is known to be right. */
export interface Nameable {
  readonly name?: unknown;
  readonly queue?: unknown;
  readonly version?: unknown;
  readonly input?: unknown;
  readonly output?: unknown;
}

/** Throws InvalidOption unless name, queue, version and schemas can be those of a task. */
export function checkNamed(given: Nameable): void {
  const { name, queue, version } = given;
  if (typeof name !== "string" || !isKeyPart(name)) {
    throw invalidOption("name", `${shown(name)} cannot be a task's name: ${KEY_PART_RULE}. By convention snake_case`);
  }
  if (queue !== undefined && (typeof queue !== "string" || !isKeyPart(queue))) {
    throw invalidOption("queue", `${shown(queue)} cannot be a queue: ${KEY_PART_RULE}`);
  }
  if (version !== undefined) wholeNumber("version", version, { least: 1, most: 1_000_000 });
  for (const option of ["input", "output"] as const) {
    const schema = given[option];
    if (schema === undefined || isSchema(schema)) continue;
    throw invalidOption(option, `${shown(schema)} is not a schema: use zod, valibot, arktype, or unchecked<T>()`);
  }
}
