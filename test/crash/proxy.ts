import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A link that can be made to fail. */
export interface FaultyLink extends AsyncDisposable {
  readonly port: number;
  /** The same URL, by way of this proxy. */
  through(url: string): string;
  /** Cuts every connection now. New ones are let through. */
  cut(): void;
  /** Passes nothing on in either direction, and closes nothing, until healed. New connections are accepted and stay silent. */
  silence(): void;
  /** Passes requests on and drops their answers, until healed. */
  dropReplies(): void;
  /** Drops the answer to the next request, and cuts that connection. */
  loseNextReply(): void;
  heal(): void;
  readonly connectionCount: () => number;
}

/** What is done with bytes. */
type Mode = "pass" | "silent" | "deaf";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Opens a proxy on a free loopback port to a loopback port. */
export async function openProxy(targetPort: number): Promise<FaultyLink> {
  const pairs = new Set<Pair>();
  let mode: Mode = "pass";
  let repliesToLose = 0;
  const listener = createServer((client) => {
    const server = connect(targetPort, "127.0.0.1");
    const pair = { client, server };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.setNoDelay(true).on("error", end).on("close", end);
    client.on("data", (bytes) => {
      if (mode !== "silent") server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (mode !== "pass") return;
      if (repliesToLose > 0) {
        repliesToLose -= 1;
        end();
      } else client.write(bytes);
    });
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const cut = () => {
    for (const { client, server } of [...pairs]) {
      client.resetAndDestroy();
      server.destroy();
    }
  };
  return {
    port,
    through: (url) => Object.assign(new URL(url), { hostname: "127.0.0.1", port: String(port) }).href,
    cut,
    silence() {
      mode = "silent";
    },
    dropReplies() {
      mode = "deaf";
    },
    loseNextReply() {
      repliesToLose += 1;
    },
    heal() {
      mode = "pass";
    },
    connectionCount: () => pairs.size,
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, "close");
    },
  };
}
