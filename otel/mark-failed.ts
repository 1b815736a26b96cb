import { type Span, SpanStatusCode } from "@opentelemetry/api";
import { NAMES } from "./attributes.ts";

/** Marks a span as failed, with the error's type and stack. */
export function markFailed(span: Span, error: unknown): void {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const code = (thrown as { code?: unknown }).code;
  span.recordException(thrown);
  span.setAttribute(NAMES.errorType, typeof code === "string" ? code : thrown.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
}
