import type { DispatchPort } from "../define/task.ts";

/** A port behind which another can be put for a while. */
export interface SwitchablePort {
  readonly port: DispatchPort;
  /** Puts another in its place, until disposed. */
  standIn(other: DispatchPort): Disposable;
}

/** Task objects keep the port that they were made with: this one hands on to whichever is in charge. */
export function switchable(own: DispatchPort): SwitchablePort {
  let charge = own;
  return {
    port: {
      send: (...args) => charge.send(...args),
      handle: (...args) => charge.handle(...args),
      events: (...args) => charge.events(...args),
      trigger: (...args) => charge.trigger(...args),
      call: (...args) => charge.call(...args),
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
