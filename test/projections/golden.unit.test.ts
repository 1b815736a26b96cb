import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { projections } from "../../projections/all.ts";
import { EXPORT_FORMAT, fromExported, readExport, toExported } from "../../projections/export-format.ts";
import { parseEvent } from "../../streams/event-schemas.ts";
import { EVENT_VERSION, type EventDraft, type LedgerEvent } from "../../streams/events.ts";
import { decodeEntry, encodeEvents, encodeHeader, isLedgerEvent, sharedBy } from "../../streams/ledger.ts";
import { AT, anEvent, CRON_RUN, EVENT_TYPES, RUN } from "./events.ts";
import { foldInBatches } from "./fold.ts";

// One ledger for each version of the events that was ever released, with the rows that it comes to, and one more in whose headers stands what the events
// of a batch share. A released one never changes: what a later version makes of it has to be the same. Those of the version at work are made anew, when an event type is added, by
//   TASKTRAIL_GOLDEN=write npm test -- test/projections/golden && npm run format
const FOLDER = new URL("./golden/", import.meta.url);
const CURRENT = `v${EVENT_VERSION}`;
const SHARED = `${CURRENT}-shared`;
const fileOf = (version: string, what: "ledger.ndjson" | "rows.json") => new URL(`${version}.${what}`, FOLDER);

/** Every event type: first lives as they go, of a run and of a cron's, and then each type once, of a run of its own. */
function exampleEvents(): LedgerEvent[] {
  const life = [
    "run.enqueued",
    "run.due",
    "run.started",
    "run.failed",
    "run.due",
    "run.redelivered",
    "run.started",
    "run.succeeded",
  ] as const;
  const cron = ["slot.fired", "run.enqueued", "run.started", "run.died"] as const;
  const slot = { schedule: "sync_external_data", slot: AT, trigger: "schedule" };
  return [
    ...life.map((type) => anEvent(type, { run: RUN })),
    ...cron.map((type) => anEvent(type, { run: CRON_RUN }, slot)),
    ...EVENT_TYPES.map((type, n) =>
      anEvent(type, { run: `01890000-0000-7abc-8000-0000000001${String(n).padStart(2, "0")}` }),
    ),
  ];
}

function exampleLedger(): string {
  const head = { tasktrail: "ledger", format: EXPORT_FORMAT, namespace: "golden", exportedAt: AT, isWhole: true };
  const lines = exampleEvents().map(({ position: _p, traceId: _t, ...event }, n) => {
    const header = encodeHeader(
      { incarnation: "golden", call: n + 1, clockOffsetMs: 0 },
      { queue: "default", at: AT + n },
    );
    const entry = { id: `${AT + n}-0`, header, count: 1, events: encodeEvents([{ ...event, at: AT + n }] as never) };
    return toExported("default", "life1", entry);
  });
  return [head, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Each event type in a batch of three runs, of which its header tells what they share, as the streams and the archive have them. */
function exampleSharedLedger(): string {
  const head = { tasktrail: "ledger", format: EXPORT_FORMAT, namespace: "golden", exportedAt: AT, isWhole: true };
  const lines = EVENT_TYPES.map((type, n) => {
    const runs = [1, 2, 3].map((of) => `01890000-0000-7abc-8000-00000000${of}1${String(n).padStart(2, "0")}`);
    const events = runs.map((run) => {
      const {
        position: _p,
        traceId: _t,
        v: _v,
        at: _a,
        queue: _q,
        ...event
      } = anEvent(type, { run }) as never as LedgerEvent & { queue?: string };
      return event as EventDraft;
    });
    const shared = sharedBy(events, ["type", "task", "attempt", "delivery"]);
    const header = encodeHeader(
      { incarnation: "golden", call: n + 1, clockOffsetMs: 0 },
      { queue: "default", at: AT + n, ...shared },
    );
    const told = JSON.parse(encodeEvents(events, shared)) as unknown;
    return {
      queue: "default",
      incarnation: "life1",
      id: `${AT + n}-0`,
      header: JSON.parse(header) as unknown,
      events: told,
    };
  });
  return [head, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
}

async function foldGolden(version: string) {
  const { entries } = await readExport(fileOf(version, "ledger.ndjson").pathname, "none");
  const events: LedgerEvent[] = [];
  for await (const entry of entries)
    events.push(
      ...decodeEntry(fromExported(entry), { queue: entry.queue, incarnation: entry.incarnation }).filter(isLedgerEvent),
    );
  const rows = projections.map((projection) => {
    const folded = foldInBatches(projection, events);
    assert.deepEqual(folded.refusals, [], `${projection.name} takes every event of ${version}`);
    return [projection.name, [...folded.rows.values()]] as const;
  });
  return { events, rows: JSON.parse(JSON.stringify(Object.fromEntries(rows))) as unknown };
}

if (process.env.TASKTRAIL_GOLDEN === "write") {
  await writeFile(fileOf(CURRENT, "ledger.ndjson"), exampleLedger());
  await writeFile(fileOf(SHARED, "ledger.ndjson"), exampleSharedLedger());
  for (const version of [CURRENT, SHARED])
    await writeFile(fileOf(version, "rows.json"), `${JSON.stringify((await foldGolden(version)).rows, null, 1)}\n`);
}

const versions = readdirSync(FOLDER).flatMap((name) => /^(v\d+(?:-shared)?)\.ledger\.ndjson$/.exec(name)?.[1] ?? []);

for (const version of versions) {
  test(`a ledger of ${version} comes to the rows that it always came to`, async () => {
    const { rows } = await foldGolden(version);
    assert.deepEqual(rows, JSON.parse(await readFile(fileOf(version, "rows.json"), "utf8")));
  });
}

for (const version of [CURRENT, SHARED]) {
  test(`the golden ledger ${version} has every event type`, async () => {
    const { events } = await foldGolden(version);
    const missing = EVENT_TYPES.filter((type) => !events.some((event) => event.type === type));
    assert.deepEqual(
      missing,
      [],
      "make it anew: TASKTRAIL_GOLDEN=write npm test -- test/projections/golden && npm run format",
    );
    for (const event of events) assert.doesNotThrow(() => parseEvent(event));
  });
}
