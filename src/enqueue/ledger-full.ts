import { TasktrailError } from "../errors.ts";

/** The ledger of a queue has grown past what its projector allows, since the archive does not keep up. */
export function ledgerFull(
  task: string,
  { sent, cause }: { readonly sent: number; readonly cause: unknown },
): TasktrailError {
  const before = sent > 0 ? ` ${sent} ${sent === 1 ? "run was" : "runs were"} taken before that.` : "";
  return new TasktrailError(
    "ledger_full",
    `Task "${task}" was not dispatched: the ledger of its queue is larger than its projector allows (maxTail), since the archive does not keep up.${before} See with \`tasktrail doctor\` how far behind the projector is; it is safe to dispatch again.`,
    { cause, details: { task, sent } },
  );
}
