import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Which answers are lost: those to blocking reads that bring something, or those to every second script call of a connection. */
export type Doomed = "reads" | "calls";

/** A link that can be made to fail. */
export interface FaultyLink extends AsyncDisposable {
  readonly port: number;
  /** The same URL, by way of this proxy. */
  through(url: string): string;
  /** Cuts every connection now. New ones are let through. */
  cut(): void;
  /** Passes nothing on in either direction, and closes nothing, until healed. New connections are accepted and stay silent. */
  silence(): void;
  /** Drops the answer to the next request, and cuts that connection. */
  loseNextReply(): void;
  /** Drops the first of these answers on each connection, and cuts it then, until healed. */
  loseReplies(which: Doomed): void;
  heal(): void;
  readonly lostCount: () => number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Script calls that went by. */
  calls: number;
  /** The next answer that brings something is to be lost. */
  isDoomed: boolean;
}

/** What is done with bytes. */
interface Harm {
  isSilent: boolean;
  doomed: Doomed | undefined;
  repliesToLose: number;
  lost: number;
}

/** Opens a proxy on a free loopback port to a loopback port. */
export async function openProxy(targetPort: number): Promise<FaultyLink> {
  const pairs = new Set<Pair>();
  const harm: Harm = { isSilent: false, doomed: undefined, repliesToLose: 0, lost: 0 };
  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(targetPort, "127.0.0.1"), calls: 0, isDoomed: false };
    pairs.add(pair);
    join(pair, harm, () => pairs.delete(pair));
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
      harm.isSilent = true;
    },
    loseNextReply() {
      harm.repliesToLose += 1;
    },
    loseReplies(which) {
      harm.doomed = which;
    },
    heal() {
      harm.isSilent = false;
      harm.doomed = undefined;
    },
    lostCount: () => harm.lost,
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, "close");
    },
  };
}

function join(pair: Pair, harm: Harm, forget: () => void): void {
  const { client, server } = pair;
  const end = () => {
    forget();
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) socket.setNoDelay(true).on("error", end).on("close", end);
  client.on("data", (bytes) => {
    if (harm.isSilent) return;
    look(pair, harm, bytes);
    server.write(bytes);
  });
  server.on("data", (bytes) => {
    if (harm.isSilent) return;
    const isLost = harm.repliesToLose > 0 || (pair.isDoomed && harm.doomed !== undefined && !isNothing(bytes));
    if (!isLost) return void client.write(bytes);
    harm.repliesToLose = Math.max(0, harm.repliesToLose - 1);
    harm.lost += 1;
    end();
  });
}

/** Looks at a request, and whether its answer is to be lost. */
function look(pair: Pair, { doomed }: Harm, bytes: Buffer): void {
  if (doomed === undefined) return;
  const text = bytes.toString("latin1");
  if (doomed === "reads" && /\r\nxreadgroup\r\n/i.test(text)) pair.isDoomed = true;
  if (doomed !== "calls" || !/\r\nevalsha\r\n/i.test(text)) return;
  pair.calls += 1;
  if (pair.calls % 2 === 0) pair.isDoomed = true;
}

/** The answer of a blocking read that brings nothing. */
function isNothing(bytes: Buffer): boolean {
  return bytes.length <= 5 && /^(\*-1|_)\r\n$/.test(bytes.toString("latin1"));
}
