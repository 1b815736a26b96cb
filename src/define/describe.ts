import cronstrue from "cronstrue";
import type { Pattern } from "./pattern.ts";

/** A pattern in words: `At 03:00, Monday through Friday (Europe/Berlin)`. */
export function describe({ expression, timezone }: Pattern): string {
  return `${cronstrue.toString(expression, { use24HourTimeFormat: true })} (${timezone})`;
}
