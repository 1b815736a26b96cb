import type { EnginePort } from "../define/schedules.ts";

/** A port behind which another can be put for a while. */
export interface SwitchablePort {
  readonly port: EnginePort;
  /** Puts another in its place, until disposed. */
  standIn(other: EnginePort): Disposable;
}

/** Task objects keep the port that they were made with: this one hands on to whichever is in charge. */
export function switchable(own: EnginePort): SwitchablePort {
  let charge = own;
  return {
    port: {
      send: (task, inputs, options, keyOf) => charge.send(task, inputs, options, keyOf),
      sendOne: (task, input, options) => charge.sendOne(task, input, options),
      handle: (...args) => charge.handle(...args),
      events: (...args) => charge.events(...args),
      trigger: (...args) => charge.trigger(...args),
      call: (...args) => charge.call(...args),
      schedules: {
        upsert: (...args) => charge.schedules.upsert(...args),
        list: () => charge.schedules.list(),
        pause: (id) => charge.schedules.pause(id),
        resume: (id) => charge.schedules.resume(id),
        remove: (id) => charge.schedules.remove(id),
        trigger: (id) => charge.schedules.trigger(id),
        backfill: (...args) => charge.schedules.backfill(...args),
      },
    },
    standIn(other) {
      const before = charge;
      charge = other;
      return {
        [Symbol.dispose]() {
          charge = before;
        },
      };
    },
  };
}
