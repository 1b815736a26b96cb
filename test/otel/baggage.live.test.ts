import assert from "node:assert/strict";
import { test } from "node:test";
import { context, propagation } from "@opentelemetry/api";
import { createBroker, createWorker } from "tasktrail";
import { z } from "zod";
import { startTelemetry } from "../../otel/bootstrap.ts";
import { openLedger } from "../support/ledger.ts";
import { testNamespace, testRedis } from "../support/servers.ts";

const tenant = () => propagation.getActiveBaggage()?.getEntry("tenant")?.value ?? "none";

test("baggage goes with a run through Redis, a retry and a child, also where sampling leaves them out, and stands on no event", async () => {
  const [redis, namespace] = [await testRedis(), testNamespace()];
  Object.assign(process.env, { OTEL_TRACES_EXPORTER: "console", OTEL_TRACES_SAMPLER: "always_off" });
  Object.assign(process.env, { OTEL_PROPAGATORS: "tracecontext,baggage" });
  await using _telemetry = await startTelemetry();
  await using broker = createBroker({ redis, namespace });
  const seen: string[] = [];
  const child = broker.task({ name: "child", run: () => void seen.push(`child ${tenant()}`) });
  const parent = broker.task({
    name: "parent",
    input: z.object({ n: z.int() }),
    retry: { attempts: 2, delay: "10ms" },
    async run(_input, _deps, run) {
      seen.push(`attempt ${run.attempt} ${tenant()}`);
      if (run.attempt === 1) throw new Error("the first attempt fails");
      await child.kiq();
    },
  });
  await using worker = createWorker(broker);
  const working = worker.run();
  await using ledger = await openLedger(redis, namespace);
  const bag = propagation.createBaggage({ tenant: { value: "ada" } });
  await context.with(propagation.setBaggage(context.active(), bag), () => parent.kiq({ n: 1 }));
  await ledger.waitFor((events) => events.filter(({ type }) => type === "run.succeeded").length === 2);
  assert.deepEqual(seen, ["attempt 1 ada", "attempt 2 ada", "child ada"]);
  assert.ok(!JSON.stringify(await ledger.events()).includes("ada"));
  await worker.stop();
  await working;
});
