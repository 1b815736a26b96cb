// redlock 5 ships its types but not under `exports`, so that no modern resolution finds them. What we use of it:
declare module "redlock" {
  import type { EventEmitter } from "node:events";

  export interface Settings {
    readonly driftFactor?: number;
    readonly retryCount?: number;
    readonly retryDelay?: number;
    readonly retryJitter?: number;
    readonly automaticExtensionThreshold?: number;
  }
  export interface Scripts {
    readonly acquireScript?: string | ((script: string) => string);
    readonly extendScript?: string | ((script: string) => string);
    readonly releaseScript?: string | ((script: string) => string);
  }
  export interface ExecutionStats {
    readonly membershipSize: number;
    readonly quorumSize: number;
    readonly votesFor: ReadonlySet<unknown>;
    readonly votesAgainst: ReadonlyMap<unknown, Error>;
  }
  export interface Lock {
    readonly resources: string[];
    readonly value: string;
    readonly expiration: number;
  }
  export class ResourceLockedError extends Error {}
  export class ExecutionError extends Error {
    readonly attempts: readonly Promise<ExecutionStats>[];
  }
  export default class Redlock extends EventEmitter {
    constructor(clients: Iterable<unknown>, settings?: Settings, scripts?: Scripts);
    acquire(resources: string[], durationMs: number, settings?: Settings): Promise<Lock>;
    extend(lock: Lock, durationMs: number, settings?: Settings): Promise<Lock>;
    release(lock: Lock, settings?: Settings): Promise<unknown>;
  }
}
