// Kills its process with -9 at one step: CRASH_KILL_AT is `before:n` or `after:n`, where n counts what the main thread asks of Redis and Postgres;
// or `before:n:script` and `after:n:script`, which count the calls of one script alone.
// Every await of the engine that leaves the process is such a step, so that walking n from 1 visits them all, and the engine carries nothing for it.
import { Redis } from "ioredis";
import pg from "pg";
import { type ScriptName, scriptText } from "../../../streams/scripts.ts";

const [when, step, script] = (process.env.CRASH_KILL_AT ?? "never:0").split(":");
const fatal = Number(step);
let asked = 0;

/** Counts a request, and ends the process at the one that was named: before it is sent, or once its answer is here. */
function count<T>(send: () => T): T {
  asked += 1;
  const isFatal = asked === fatal;
  if (isFatal && when === "before") process.kill(process.pid, "SIGKILL");
  const answer = send();
  const end = () => isFatal && process.kill(process.pid, "SIGKILL");
  if (answer instanceof Promise) answer.then(end, (error: unknown) => (isUnknown(error) ? asked-- : end()));
  return answer;
}

/** True when a server has only said that it does not know a script: it is sent again, with its text. */
function isUnknown(error: unknown): boolean {
  return script !== undefined && error instanceof Error && error.message.startsWith("NOSCRIPT");
}

/** True for what is counted. */
function isStep({ name, args }: { readonly name: string; readonly args: readonly unknown[] }): boolean {
  if (script === undefined) return true;
  const { sha, source } = scriptText(script as ScriptName);
  return name.startsWith("eval") && (args[0] === sha || args[0] === source);
}

if (fatal > 0) {
  const { sendCommand } = Redis.prototype;
  Redis.prototype.sendCommand = function (...args: Parameters<typeof sendCommand>) {
    const send = () => sendCommand.apply(this, args);
    return isStep(args[0]) ? count(send) : send();
  };
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  Object.assign(pg.Client.prototype, {
    query(this: pg.Client, ...args: unknown[]) {
      return script === undefined ? count(() => query.apply(this, args)) : query.apply(this, args);
    },
  });
}
