import { once } from "node:events";
import { createServer } from "node:net";

/** A TCP port of the loopback interface that is free now. The one asked for when it can be had, else any. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  try {
    server.listen(preferred, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as { port: number }).port;
  } catch (error) {
    if (preferred === 0 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return freePort();
  } finally {
    server.close();
  }
}
