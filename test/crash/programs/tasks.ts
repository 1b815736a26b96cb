// The tasks of the crash scenarios: each records its start and its end in the effects journal, and misbehaves as its input says.
import { setTimeout as delay } from "node:timers/promises";
import { type Broker, createBroker } from "tasktrail";
import { z } from "zod";
import { openJournal } from "../journal.ts";

const settings = z.object({ CRASH_EFFECTS: z.string(), CRASH_TASKS: z.string().default("work,fresh") });
const { CRASH_EFFECTS, CRASH_TASKS } = settings.parse(process.env);
const effects = openJournal(CRASH_EFFECTS);

/** What handlers throw that nobody should throw. */
const THROWN = ["null", "string", "getter", "huge", "unstorable"] as const;

const input = z.object({
  n: z.int(),
  /** How long the handler takes, in ms. */
  ms: z.number().default(0),
  kind: z.enum(["sleep", "block", "block_first", "deaf", "never", "poison", "fail_once", ...THROWN]).default("sleep"),
  text: z.string().optional(),
});
type Kind = z.output<typeof input>["kind"];

/** What a handler knows of its run. */
interface Run {
  readonly signal: AbortSignal;
  readonly attempt: number;
  readonly fencingToken: string;
}

/** A broker on REDIS_URL that waits for Redis as long as this, in ms. */
export function openBroker(enqueueTimeoutMs = 5_000): Broker {
  return createBroker({ enqueueTimeout: `${enqueueTimeoutMs}ms` });
}

/** Declares what all scenarios dispatch. With CRASH_TASKS=work, a process does not know the task `fresh`: its code is older. */
export function declare(broker: Broker) {
  return {
    work: declareOne(broker, "work"),
    fresh: declareOne(broker, CRASH_TASKS.includes("fresh") ? "fresh" : "old"),
  };
}

function declareOne(broker: Broker, name: string) {
  return broker.task({
    name,
    input,
    retry: { attempts: 3, delay: "100ms", maxDelay: "500ms" },
    timeout: "60s",
    async run({ n, ms, kind }, _deps, run) {
      effects.append(["start", run.id, run.attempt, run.fencingToken, process.pid, n]);
      await misbehave(kind, ms, run);
      effects.append(["end", run.id, run.attempt, run.fencingToken, process.pid, n]);
    },
  });
}

async function misbehave(kind: Kind, ms: number, run: Run): Promise<void> {
  switch (kind) {
    case "sleep":
      if (ms > 0) await delay(ms, undefined, { signal: run.signal });
      return;
    case "deaf":
      return delay(ms);
    case "block":
      return block(ms);
    case "block_first":
      return isFirstDelivery(run) ? block(ms) : undefined;
    case "never":
      return new Promise(() => {});
    case "poison":
      process.kill(process.pid, "SIGKILL");
      return delay(60_000);
    case "fail_once":
      if (run.attempt === 1) throw new Error("the first attempt always fails");
      return;
    default:
      throw strange(kind);
  }
}

function block(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** The token is the attempt times 65,536, and the delivery. */
function isFirstDelivery({ fencingToken }: Run): boolean {
  return Number(fencingToken) % 65_536 === 1;
}

/** What nobody should throw. */
function strange(kind: Kind): unknown {
  switch (kind) {
    case "null":
      return null;
    case "string":
      return "a string";
    case "getter":
      return Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("a message that throws");
        },
      });
    case "unstorable":
      return new Error("\u0000 and \ud800, which Postgres refuses");
    default:
      return new Error("x".repeat(10_000_000));
  }
}
