import { type Command, InvalidArgumentError, Option } from "commander";
import { isKeyPart } from "../../streams/keys.ts";
import { checkServerUrl } from "../server-url.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  readonly redis?: string;
  readonly database?: string;
  readonly namespace?: string;
  readonly verbose?: boolean;
}

/** Declares them. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(new Option("--redis <url>", "instead of REDIS_URL").argParser(serverUrl("redis")))
    .addOption(new Option("--database <url>", "instead of DATABASE_URL").argParser(serverUrl("postgres")))
    .addOption(new Option("--namespace <name>", "instead of TASKTRAIL_NAMESPACE").argParser(namespace))
    .option("--verbose", "adds stacks to errors");
}

/**
 * A flag stands in for its variable, in the whole process: the application, which reads the variables when it is first
 * used, and the command see the same. What the application states in its code goes before both.
 */
export function takeGlobalOptions(options: GlobalOptions): void {
  const { redis, database, namespace } = options;
  if (redis !== undefined) process.env.REDIS_URL = redis;
  if (database !== undefined) process.env.DATABASE_URL = database;
  if (namespace !== undefined) process.env.TASKTRAIL_NAMESPACE = namespace;
}

// `--redis "$UNSET"` is a mistake, and not a wish for the default.
function serverUrl(server: "redis" | "postgres"): (text: string) => string {
  return (text) => {
    try {
      if (text.trim() === "") throw new Error("it is empty");
      checkServerUrl("", text, server);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message.replace(/^: /, ""));
    }
    return text;
  };
}

function namespace(text: string): string {
  if (isKeyPart(text)) return text;
  throw new InvalidArgumentError(`it is 1 to 100 characters, none of them white space, ":", "{" or "}"`);
}
