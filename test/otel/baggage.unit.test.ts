import assert from "node:assert/strict";
import { test } from "node:test";
import { type Context, context, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { withBaggage } from "../../otel/baggage.ts";
import { type TracingOptions, tracing } from "../../otel/tracing.ts";
import type { Carrier, Execution, Middleware } from "../../src/middleware.ts";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

const ofTenant = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ tenant: { value: "Ada & Söhne" } }));
const tenantIn = (active: Context) => propagation.getBaggage(active)?.getEntry("tenant")?.value;
const sending = { task: "greet", queue: "mail", runs: ["0189aaaa-0000-7000-8000-000000000000"] };

/** What travels with a dispatch that is made with baggage, and what is active in the handler that gets it. */
function travelled(options: TracingOptions): { readonly carrier: Carrier; readonly arrived: string | undefined } {
  const hooks = tracing({ provider: new TracerProvider({}), ...options }) as Required<Middleware>;
  const carrier = context.with(ofTenant, () => hooks.send(sending))?.carrier ?? {};
  const execution = { run: sending.runs[0], attempt: 2, carrier, queue: "mail", task: "greet" } as Execution;
  let arrived: string | undefined;
  hooks.attempt(execution)?.enter?.(() => {
    arrived = tenantIn(context.active());
  });
  return { carrier, arrived };
}

test("baggage stays behind unless it was asked for", () => {
  const { carrier, arrived } = travelled({});
  assert.deepEqual([carrier.baggage, arrived], [undefined, undefined]);
});

test("baggage that was asked for is active in the handler, in the dispatch's trace or in one of its own, sampled or not", () => {
  for (const linkage of ["parent", "link"] as const)
    for (const isKept of [undefined, () => false]) {
      const { carrier, arrived } = travelled({ propagateBaggage: true, linkage, isKept });
      assert.equal(carrier.baggage, "tenant=Ada%20%26%20S%C3%B6hne");
      assert.equal(arrived, "Ada & Söhne", `${linkage}, ${isKept === undefined ? "" : "not "}sampled`);
    }
});

test("baggage that a stranger wrote is read within limits, and never throws", () => {
  assert.equal(tenantIn(withBaggage(ROOT_CONTEXT, "tenant=b, =, ;;; %zz=%zz")), "b");
  assert.equal(tenantIn(withBaggage(ROOT_CONTEXT, `${"a=b,".repeat(400)}tenant=c`)), undefined);
});
