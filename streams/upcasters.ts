import { EVENT_VERSION, type UnknownEvent } from "./events.ts";

/** Lifts an event from one version to the next. Pure. */
type Upcaster = (event: UnknownEvent) => UnknownEvent;

/** What lifts an event of version n to n + 1, by n. Empty while there is one version; a released one is never changed. */
const upcasters: Readonly<Record<number, Upcaster>> = {};

/** The event in the current version. One of a newer version, or without one, is handed on as it is. */
export function lift(event: UnknownEvent): UnknownEvent {
  let lifted = event;
  for (let version = lifted.v; typeof version === "number" && version < EVENT_VERSION; version = lifted.v) {
    const next = upcasters[version];
    if (next === undefined) return lifted;
    lifted = next(lifted);
  }
  return lifted;
}
