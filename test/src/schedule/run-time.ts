import assert from "node:assert/strict";
import { z } from "zod";
import { engineOf } from "../../../src/engine.ts";
import { type Definition, readDefinition, writeDefinition } from "../../../src/schedule/definition.ts";
import { createScheduler } from "../../../src/scheduler.ts";
import { readSchedules } from "../../../streams/cron.ts";
import type { LedgerEvent } from "../../../streams/events.ts";
import type { Lane } from "../../../streams/lane.ts";
import { openWork, type TestWork } from "../../support/work.ts";

const MINUTE = 60_000;

/** An application whose task takes an input, and tells of what it was run with. */
export async function application(policies: { readonly queue?: string } = {}) {
  const work = await openWork();
  const ran: { readonly team: string; readonly trigger: string | undefined; readonly previous: Date | undefined }[] =
    [];
  const report = work.broker.task({
    name: "report",
    ...policies,
    input: z.object({ team: z.string(), size: z.number().default(7) }),
    run({ team }, _deps, { slot }) {
      ran.push({ team, trigger: slot?.trigger, previous: slot?.previous });
    },
  });
  const lane: Lane = { ...(await engineOf(work.broker).lane("default")), redis: work.redis };
  return { work, ran, report, lane, schedules: work.broker.schedules };
}

export async function definitionOf(lane: Lane, id: string): Promise<Definition> {
  const definition = readDefinition((await readSchedules(lane, [id]))[0]?.definition);
  assert.ok(definition !== undefined);
  return definition;
}

/** Has a schedule be as old as that: hours are not waited for. */
export async function backdate(
  lane: Lane,
  id: string,
  ageMs: number,
  changes: Partial<Definition> = {},
): Promise<void> {
  const definition = await definitionOf(lane, id);
  const at = Math.floor(Date.now() / MINUTE) * MINUTE - ageMs;
  const text = writeDefinition({ ...definition, changedAt: at, createdAt: at, ...changes });
  await lane.redis.hset(lane.keys.cron, `definition:${id}`, text);
}

export async function startScheduler(work: TestWork) {
  const scheduler = createScheduler(work.another());
  scheduler.run();
  return scheduler;
}

export function ofType<T extends LedgerEvent["type"]>(events: readonly LedgerEvent[], type: T): LedgerEvent<T>[] {
  return events.filter((one) => one.type === type) as LedgerEvent<T>[];
}
