import type { KeptSchedule } from "../../streams/cron.ts";
import { changed, type Definition, hashOf, readDefinition, type ScheduleContent } from "./definition.ts";

/** A definition that no scheduler has declared for so long has been left behind by every one of them, in ms. */
export const DECLARED_FOR_MS = 60_000;

/** What a scheduler does about a schedule that it declares. */
export type Reconciled =
  /** It stands there as declared. */
  | { readonly kind: "agreed"; readonly definition: Definition }
  /** Another definition stands there, which newer schedulers declare: it is the one to go by. */
  | { readonly kind: "outvoted"; readonly definition: Definition }
  /** What stands there is written by a newer version, and cannot be read: left to schedulers that can. */
  | { readonly kind: "unreadable" }
  | { readonly kind: "write"; readonly definition: Definition };

/**
 * What to do about what Redis keeps of a schedule. New content is written at once. Content that was replaced by what stands there
 * is that of an older version: during a rolling deploy it keeps to the newer definition, and takes its place again only
 * when no scheduler has declared that for a minute, which is a rollback. So two versions side by side never take turns.
 */
export function reconcile(content: ScheduleContent, kept: KeptSchedule, nowMs: number): Reconciled {
  const written = (before: Definition | undefined): Reconciled => {
    return { kind: "write", definition: changed({ content, before, nowMs, source: "declared" }) };
  };
  if (kept.definition === undefined) return written(undefined);
  const definition = readDefinition(kept.definition);
  if (definition === undefined) {
    return isDeclared(kept, nowMs) ? { kind: "unreadable" } : written(undefined);
  }
  const hash = hashOf(content);
  if (definition.hash === hash && definition.source === "declared") return { kind: "agreed", definition };
  if (definition.replaced.includes(hash) && isDeclared(kept, nowMs)) return { kind: "outvoted", definition };
  return written(definition);
}

/** True while some scheduler has the definition in its code. */
export function isDeclared({ seenAt }: Pick<KeptSchedule, "seenAt">, nowMs: number): boolean {
  return seenAt !== undefined && nowMs - seenAt < DECLARED_FOR_MS;
}
