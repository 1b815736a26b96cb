// The tasks of the crash scenarios: each records its start and its end in the effects journal, and misbehaves as its input says.
import { setTimeout as delay } from "node:timers/promises";
import { createBroker } from "tasktrail";
import { z } from "zod";
import { openJournal } from "../journal.ts";

const settings = z.object({ CRASH_EFFECTS: z.string() }).parse(process.env);
const effects = openJournal(settings.CRASH_EFFECTS);

export const broker = createBroker({ enqueueTimeout: "5s" });

const input = z.object({
  n: z.int(),
  /** How long the handler takes, in ms. */
  ms: z.number().default(0),
  kind: z
    .enum(["sleep", "block", "poison", "never", "deaf", "fail_once", "null", "string", "getter", "huge"])
    .default("sleep"),
});

/** What all scenarios dispatch. */
export const work = broker.task({
  name: "work",
  input,
  retry: { attempts: 3, delay: "100ms", maxDelay: "500ms" },
  timeout: "60s",
  async run({ ms, kind }, _deps, run) {
    effects.append(["start", run.id, run.attempt, run.fencingToken, process.pid]);
    await misbehave(kind, ms, run);
    effects.append(["end", run.id, run.attempt, run.fencingToken, process.pid]);
  },
});

async function misbehave(
  kind: z.output<typeof input>["kind"],
  ms: number,
  run: { readonly signal: AbortSignal; readonly attempt: number },
): Promise<void> {
  switch (kind) {
    case "sleep":
      if (ms > 0) await delay(ms, undefined, { signal: run.signal });
      return;
    case "deaf":
      return delay(ms);
    case "block":
      for (const until = performance.now() + ms; performance.now() < until; );
      return;
    case "poison":
      process.kill(process.pid, "SIGKILL");
      return delay(60_000);
    case "never":
      return new Promise(() => {});
    case "fail_once":
      if (run.attempt === 1) throw new Error("the first attempt always fails");
      return;
    case "null":
      throw null;
    case "string":
      throw "a string";
    case "getter":
      throw Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("a message that throws");
        },
      });
    case "huge":
      throw new Error("x".repeat(10_000_000));
  }
}
