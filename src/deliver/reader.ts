import type { Redis } from "ioredis";
import { pause } from "../../streams/lane.ts";
import type { WorkLane } from "./work-lane.ts";

/** A connection for blocking reads, and the id under which it can be woken. */
export interface Reader {
  readonly redis: Redis;
  /** Set once it is connected; undefined when Redis does not tell. */
  clientId: number | undefined;
}

/** The wake may arrive before the read that it is to end. */
const AGAIN_MS = 20;

/**
 * Ends the blocking read of a lane, and returns once its reply has come. By CLIENT UNBLOCK, or by waiting the block out,
 * but never by closing the socket: Redis serves a blocked client before it sees that nobody is there any more.
 */
export async function wakeReader(workLane: WorkLane, reader: Reader, command: Redis): Promise<void> {
  while (workLane.reading !== undefined) {
    const ended = workLane.reading.then(
      () => true,
      () => true,
    );
    if (reader.clientId === undefined || command.status !== "ready") {
      await ended;
    } else {
      const isDone = await command.client("UNBLOCK", reader.clientId).then(
        () => Promise.race([ended, pause(AGAIN_MS)]),
        () => ended,
      );
      if (isDone === true) await pause(0); // lets the loop that reads take note
    }
  }
}
