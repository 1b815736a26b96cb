// Kills its process with -9 at one step: CRASH_KILL_AT is `before:n` or `after:n`, where n counts what the main thread asks of Redis and Postgres.
// Every await of the engine that leaves the process is such a step, so that walking n from 1 visits them all, and the engine carries nothing for it.
import { Redis } from "ioredis";
import pg from "pg";

const [when, step] = (process.env.CRASH_KILL_AT ?? "never:0").split(":");
const fatal = Number(step);
let asked = 0;

/** Counts a request, and ends the process at the one that was named: before it is sent, or once its answer is here. */
function count<T>(send: () => T): T {
  asked += 1;
  if (asked !== fatal) return send();
  if (when === "before") process.kill(process.pid, "SIGKILL");
  const answer = send();
  const end = () => process.kill(process.pid, "SIGKILL");
  if (answer instanceof Promise) answer.then(end, end);
  return answer;
}

if (fatal > 0) {
  const { sendCommand } = Redis.prototype;
  Redis.prototype.sendCommand = function (...args: Parameters<typeof sendCommand>) {
    return count(() => sendCommand.apply(this, args));
  };
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  Object.assign(pg.Client.prototype, {
    query(this: pg.Client, ...args: unknown[]) {
      return count(() => query.apply(this, args));
    },
  });
}
