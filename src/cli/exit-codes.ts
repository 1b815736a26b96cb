/** The exit codes of every command, after BSD's sysexits where there is one. Documented in `tasktrail --help`. */
export const EXIT = {
  ok: 0,
  /** What was asked for did not happen, or there were findings. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** Redis or Postgres does not answer, or cannot take more. */
  unavailable: 69,
  /** A mistake of ours. */
  internal: 70,
  /** Redis, Postgres or the machine does not allow it. */
  denied: 77,
  /** The configuration, the application or the schema is not as it must be. */
  config: 78,
  /** A second Ctrl-C, or a second SIGTERM. */
  interrupted: 130,
  terminated: 143,
} as const;

/** The codes as `--help` lists them. */
export const EXIT_HELP = `Exit codes:
  0   ok
  1   the operation failed, or there are findings
  2   wrong usage
  69  Redis or Postgres is not available
  70  internal error
  77  permission denied
  78  bad configuration
  130, 143  stopped at once by a second Ctrl-C or SIGTERM`;
