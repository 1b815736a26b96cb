/** The version that new events are written in. Older ones are lifted by `upcasters.ts` when they are read. */
export const EVENT_VERSION = 1;
