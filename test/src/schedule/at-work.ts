import assert from "node:assert/strict";
import { type Bell, createBell } from "../../../src/bell.ts";
import type { Broker } from "../../../src/define/broker.ts";
import { engineOf } from "../../../src/engine.ts";
import { type Assembled, assemble } from "../../../src/schedule/assemble.ts";
import { keepTime } from "../../../src/schedule/keep-time.ts";
import { type Opened, openScheduler } from "../../../src/schedule/open.ts";
import { openLane, type RedisClock } from "../../../streams/lane.ts";

/** A scheduler whose loops run, by bells and a clock of the test's own. */
export interface AtWork extends AsyncDisposable, Assembled {
  readonly opened: Opened;
}

/** What a scheduler goes by. */
export interface Time {
  /** Default: Redis' own. */
  readonly clock?: RedisClock;
  readonly makeBell: () => Bell;
  /** Called before the loops run. */
  readonly onOpened?: (opened: Opened) => void;
}

/** Starts a scheduler's loops. They end when it is disposed. */
export async function schedulerAtWork(broker: Broker, { clock, makeBell, onOpened }: Time): Promise<AtWork> {
  const engine = engineOf(broker);
  const real = await openScheduler(engine, undefined);
  const lanes = new Map(
    Array.from(real.lanes, ([queue, lane]) => [queue, openLane({ ...lane, clock: clock ?? real.clock })]),
  );
  const opened = { ...real, clock: clock ?? real.clock, lanes };
  onOpened?.(opened);
  const assembled = assemble({ engine, opened, makeBell });
  const stopping = new AbortController();
  const { signal } = stopping;
  const { current, deps, hear } = assembled;
  const loops = Promise.all([current.keep(signal), keepTime(deps, signal), hear(signal)]);
  return {
    ...assembled,
    opened,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await loops;
      await real[Symbol.asyncDispose]();
    },
  };
}

/** A bell whose sleeper is woken by being rung, and never because the time is over. */
export function endlessBell(): Bell {
  const bell = createBell();
  return { ring: bell.ring, sleep: (_ms, signal) => bell.sleep(2_147_483_647, signal) };
}

/** A clock that goes so many times as fast as this machine's, from an instant on, and bells that go by it. */
export function fastTime(startMs: number, speed: number): Time & { readonly clock: RedisClock } {
  const begun = performance.now();
  assert.ok(speed >= 1);
  return {
    clock: { now: () => startMs + (performance.now() - begun) * speed, offsetMs: () => 0, learn() {} },
    makeBell() {
      const bell = createBell();
      return { ring: bell.ring, sleep: (ms, signal) => bell.sleep(ms / speed, signal) };
    },
  };
}
