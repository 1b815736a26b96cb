import type { Redis } from "ioredis";
import { createReadReply, type RawStreams } from "./read-reply.ts";

/**
 * Reads streams on a connection on which nothing else is under way. The driver connects, logs in and reconnects; for the time of a read its
 * socket gives its answer to us (`read-reply.ts`). Rejects as the driver would. On a client that was made to speak RESP3 the driver reads.
 */
export function readAlone(redis: Redis, args: readonly (string | number)[]): Promise<RawStreams> {
  const socket = redis.stream;
  const driver = socket?.listeners("data") ?? [];
  if (redis.status !== "ready" || redis.options.protocol !== 2 || driver.length === 0)
    return redis.call("xreadgroup", ...(args as string[])) as Promise<RawStreams>;
  return new Promise((resolve, reject) => {
    const reply = createReadReply();
    const giveBack = () => {
      for (const listener of driver) socket.on("data", listener as (piece: Buffer) => void);
      socket.off("data", onData);
      socket.off("close", onClose);
    };
    const onData = (piece: Buffer) => {
      const answer = reply.take(piece);
      if (answer === undefined) return;
      giveBack();
      if ("error" in answer) reject(answer.error);
      else resolve(answer.streams);
    };
    const onClose = () => {
      giveBack();
      reject(new Error("Connection is closed."));
    };
    socket.on("data", onData);
    socket.on("close", onClose);
    for (const listener of driver) socket.off("data", listener as (piece: Buffer) => void);
    socket.write(toCommand(["XREADGROUP", ...args]));
  });
}

/** A command as it travels. */
function toCommand(words: readonly (string | number)[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}
