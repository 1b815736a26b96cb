import { type Context, defaultTextMapGetter, defaultTextMapSetter } from "@opentelemetry/api";
import { W3CBaggagePropagator } from "@opentelemetry/core";

/** W3C Baggage, within the limits of OpenTelemetry's own propagator: 180 entries, 8,192 bytes. What is beyond them is left out. */
const propagator = new W3CBaggagePropagator();

/** The baggage of a context, as it travels with a run; undefined for none. */
export function packBaggage(active: Context): string | undefined {
  const packed: { baggage?: string } = {};
  propagator.inject(active, packed, defaultTextMapSetter);
  return packed.baggage;
}

/** A context with the baggage that has travelled. */
export function withBaggage(context: Context, baggage: string | undefined): Context {
  return baggage === undefined ? context : propagator.extract(context, { baggage }, defaultTextMapGetter);
}
