/** A job queue that is measured. Each measure gets a Redis of its own, and is told how much to do. */
export interface Contender {
  readonly name: string;
  /** Dispatches `count` runs with an input of so many bytes, `inFlight` at a time. Resolves when all are acknowledged. */
  enqueue(url: string, order: Order): Promise<void>;
  /** Dispatches `count` runs in bulk, 1,000 at a time. */
  enqueueBulk(url: string, order: Order): Promise<void>;
  /** Works a backlog of `count` no-op runs. Gives the milliseconds from the first start until the last one was settled. */
  work(url: string, order: Order & { readonly concurrency: number }): Promise<number>;
}

/** How much is to be done. */
export interface Order {
  readonly count: number;
  readonly inFlight: number;
  readonly bytes: number;
}

/** An input of about so many bytes of JSON. */
export function payload(bytes: number): { readonly text: string } {
  return { text: "x".repeat(Math.max(0, bytes - 11)) };
}
