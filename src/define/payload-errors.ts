import { TasktrailError } from "../errors.ts";

/** One thing that a schema found wrong, by the path of its place. Values are not kept: they may be secret. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

function listed(issues: readonly Issue[]): string {
  const shown = issues.slice(0, 10).map(({ path, message }) => `  ${path}: ${message}`);
  if (issues.length > shown.length) shown.push(`  … and ${issues.length - shown.length} more`);
  return shown.join("\n");
}

/** An input that does not fit the task's schema. */
export function invalidInput(task: string, issues: readonly Issue[]): TasktrailError {
  return new TasktrailError(
    "invalid_input",
    `The input of task "${task}" does not fit its schema:\n${listed(issues)}`,
    {
      details: { task, issues },
    },
  );
}

/** A result that does not fit the contract's output. */
export function invalidResult(task: string, issues: readonly Issue[]): TasktrailError {
  return new TasktrailError(
    "invalid_result",
    `The result of task "${task}" does not fit the output of its contract:\n${listed(issues)}`,
    { details: { task, issues } },
  );
}

/** A value that would not survive JSON. `problem` begins with the path of the culprit. */
export function notJson(
  problem: string,
  details: { readonly path: string; readonly owner?: string | undefined },
  cause?: unknown,
): TasktrailError {
  return new TasktrailError("not_json", details.owner === undefined ? problem : `${details.owner}: ${problem}`, {
    cause,
    details,
  });
}

/** An input or a result of more bytes than `maxPayloadBytes`. The count is left out when counting had to be given up. */
export function tooLarge(
  what: string,
  size: { readonly bytes?: number | undefined; readonly maxBytes: number },
): TasktrailError {
  const { bytes, maxBytes } = size;
  const much =
    bytes === undefined
      ? `far more than the ${maxBytes} bytes of JSON that may travel`
      : `${bytes} bytes of JSON, and at most ${maxBytes} may travel`;
  return new TasktrailError(
    "too_large",
    `The ${what} takes ${much}. Store it and pass a reference, or raise the broker's maxPayloadBytes.`,
    { details: size },
  );
}
