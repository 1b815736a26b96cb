import type { PayloadKind } from "../payload.ts";

/** A job queue that is measured. */
export interface Contender {
  readonly name: string;
  /** How much it is given to do, against the slowest: so that each is measured for about as long. */
  readonly pace: number;
  /** Connects. */
  open(url: string, shape: Shape): Promise<Client>;
}

/** What the runs are like. */
export interface Shape {
  readonly payload: PayloadKind;
  /** Default: one queue. */
  readonly queueCount?: number;
  /** How often a run is tried. Default 1. */
  readonly attempts?: number;
}

/** What is dispatched at once. */
export interface Dispatch {
  /** Which queue, from 0. Default 0. */
  readonly queue?: number;
  /** Default: now. */
  readonly delayMs?: number;
}

/** An input, as `makePayloads` makes them. */
export type Input = Readonly<Record<string, unknown>>;

/** A worker's order. */
export interface WorkOrder {
  /** Over all queues. */
  readonly concurrency: number;
  /** The handler. */
  run(input: Input, attempt: number): Promise<void>;
}

/** A contender that is connected. */
export interface Client extends AsyncDisposable {
  /** Dispatches one run; resolves when it is acknowledged. */
  send(input: Input, dispatch?: Dispatch): Promise<unknown>;
  /** Dispatches many in one call of the contender's own for that; at most 1,000, as its manual advises. */
  sendMany(inputs: readonly Input[], dispatch?: Dispatch): Promise<unknown>;
  /** Starts a worker. Disposing of it stops it. */
  work(order: WorkOrder): Promise<AsyncDisposable>;
  /** Runs that wait, are due later or are being worked on. */
  leftCount(): Promise<number>;
}
