import { once } from "node:events";
import { createConnection } from "node:net";

/** A connection to Redis that does no more than write commands and count the lines of their replies. */
export interface BareSocket {
  /** Writes commands as they are; resolves when so many lines have come back. Rejects when one of them is an error. */
  write(commands: string, replyLines: number): Promise<void>;
  close(): void;
}

/** Connects, and says the password. */
export async function openBareSocket(redisUrl: string): Promise<BareSocket> {
  const { hostname, port, password } = new URL(redisUrl);
  const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const waiting: { left: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  let isAtLineStart = true;
  socket.on("data", (chunk: Buffer) => {
    const isError = (isAtLineStart && chunk[0] === 45) || chunk.includes("\n-"); // an id that is cut in two begins with its "-", too
    isAtLineStart = chunk.at(-1) === 10;
    if (isError) {
      waiting[0]?.reject(new Error(`Redis said ${String(chunk).slice(0, 200)}`));
      return;
    }
    let first = waiting[0];
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      if (first === undefined) return;
      first.left -= 1;
      if (first.left > 0) continue;
      waiting.shift();
      first.resolve();
      first = waiting[0];
    }
  });
  const write = (commands: string, replyLines: number) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ left: replyLines, resolve, reject });
      socket.write(commands);
    });
  await write(toCommand("AUTH", password), 1);
  return { write, close: () => socket.destroy() };
}

/** A command as it travels. */
export function toCommand(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
