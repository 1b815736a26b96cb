import { refusal } from "../../streams/connect.ts";
import { isTasktrailError } from "../errors.ts";
import { EXIT } from "./exit-codes.ts";
import { clean } from "./text.ts";

/** What a user is told when a command cannot do what was asked: what happened, what to do, and the exit code. */
export interface Explanation {
  readonly message: string;
  readonly advice?: string | undefined;
  readonly exitCode: number;
}

/** A failure that a command can explain by itself. */
export class CliError extends Error {
  readonly exitCode: number;
  readonly advice: string | undefined;
  constructor(exitCode: number, message: string, extras: { readonly advice?: string; readonly cause?: unknown } = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = "CliError";
    this.exitCode = exitCode;
    this.advice = extras.advice;
  }
}

/** Codes of errors of ours, of the database and of Node, as exit codes. Those that are not here are internal errors. */
const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  invalid_option: EXIT.config,
  no_tasks: EXIT.config,
  duplicate_task: EXIT.config,
  no_handler: EXIT.config,
  provider_misused: EXIT.config,
  invalid_input: EXIT.usage,
  not_json: EXIT.usage,
  too_large: EXIT.usage,
  enqueue_failed: EXIT.unavailable,
  ledger_full: EXIT.unavailable,
  redis_unavailable: EXIT.unavailable,
  result_timeout: EXIT.failed,
  result_not_kept: EXIT.failed,
  run_unknown: EXIT.failed,
  run_failed: EXIT.failed,
  run_cancelled: EXIT.failed,
  run_skipped: EXIT.failed,
  database_unreachable: EXIT.unavailable,
  migration_failed: EXIT.failed,
  migration_changed: EXIT.config,
  migrations_pending: EXIT.config,
  database_too_new: EXIT.config,
  history_diverged: EXIT.failed,
  EACCES: EXIT.denied,
  EPERM: EXIT.denied,
};

/** Classes of SQLSTATE (its first two characters, or all five), as exit codes. */
const EXIT_BY_SQLSTATE: Readonly<Record<string, number>> = {
  "08": EXIT.unavailable,
  "28": EXIT.denied,
  "42501": EXIT.denied,
  "53": EXIT.unavailable,
  "57": EXIT.unavailable,
  "42P01": EXIT.config,
  "42703": EXIT.config,
};

const REDIS_ADVICE: Readonly<Record<string, { readonly exitCode: number; readonly advice: string }>> = {
  away: { exitCode: EXIT.unavailable, advice: "Check that Redis is up and that REDIS_URL, or --redis, names it." },
  full: { exitCode: EXIT.unavailable, advice: "Redis' memory is full. Raise maxmemory; `tasktrail doctor` says more." },
  denied: {
    exitCode: EXIT.denied,
    advice: "Check user, password and ACL rights; `tasktrail doctor` lists what is missing.",
  },
  wrong_type: {
    exitCode: EXIT.config,
    advice: "Another application uses keys of this namespace. Choose another: --namespace.",
  },
};

/** Puts any error into words for the user, with its exit code. */
export function explain(error: unknown): Explanation {
  if (error instanceof CliError) return { message: error.message, advice: error.advice, exitCode: error.exitCode };
  const known = byCode(error) ?? bySqlState(error) ?? byRedis(error);
  if (known !== undefined) return known;
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    message: `unexpected: ${clean(said)}`,
    advice: "This is a mistake in tasktrail, or in the application. Run again with --verbose to see where.",
    exitCode: EXIT.internal,
  };
}

function byCode(error: unknown): Explanation | undefined {
  for (const one of causes(error)) {
    const { code } = one as { code?: unknown };
    const exitCode = typeof code === "string" && Object.hasOwn(EXIT_BY_CODE, code) ? EXIT_BY_CODE[code] : undefined;
    if (exitCode !== undefined) return { message: messageOf(one), exitCode: deniedBeneath(one) ?? exitCode };
    if (isTasktrailError(one)) return { message: messageOf(one), exitCode: EXIT.failed };
  }
  return undefined;
}

/** A permission that is missing explains more than the step that it was missing for. */
function deniedBeneath(error: Error): number | undefined {
  const state = sqlStateOf(error);
  const isDenied =
    state?.startsWith("28") === true || state === "42501" || causes(error).some((one) => refusal(one) === "denied");
  return isDenied ? EXIT.denied : undefined;
}

function bySqlState(error: unknown): Explanation | undefined {
  const state = sqlStateOf(error);
  if (state === undefined) return undefined;
  const exitCode = EXIT_BY_SQLSTATE[state] ?? EXIT_BY_SQLSTATE[state.slice(0, 2)];
  if (exitCode === undefined) return undefined;
  const isBehind = state === "42P01" || state === "42703";
  const advice = isBehind ? "The schema is not that of this version. Run: tasktrail migrate" : undefined;
  return { message: `Postgres refused: ${lastMessage(error)} (SQLSTATE ${state})`, advice, exitCode };
}

function byRedis(error: unknown): Explanation | undefined {
  for (const one of causes(error)) {
    const found = REDIS_ADVICE[refusal(one)];
    if (found !== undefined) return { message: messageOf(error as Error), ...found };
  }
  return undefined;
}

function sqlStateOf(error: unknown): string | undefined {
  for (const one of causes(error)) {
    const { code } = one as { code?: unknown };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)) return code;
  }
  return undefined;
}

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let one = error; one instanceof Error && chain.length < 8; one = one.cause) chain.push(one);
  return chain;
}

function messageOf(error: Error): string {
  return error.message === "" ? error.name : error.message;
}

function lastMessage(error: unknown): string {
  return messageOf(causes(error).at(-1) as Error);
}
