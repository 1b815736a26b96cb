const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A change of a zone's clocks: from `at` on they are ahead of UTC by `to` instead of `from`, all in ms. */
export interface Change {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

/** A zone's clocks against UTC, by UTC's days, counted from 1970-01-01. */
export interface Zone {
  /** How far ahead they are in a day's last minute, in ms: by then, a change on that day has been made. */
  offsetOn(utcDay: number): number;
  /** Their change on a day; undefined when there is none. */
  changeOn(utcDay: number): Change | undefined;
}

/** How far ahead a zone's clocks are at an instant, in ms. */
export function offsetAt(zone: Zone, ms: number): number {
  const day = Math.floor(ms / DAY_MS);
  const change = zone.changeOn(day);
  if (change === undefined) return zone.offsetOn(day);
  return ms < change.at ? change.from : change.to;
}

/** An instant as a zone's clocks show it, with their distance from UTC: `2026-03-29T03:30:00+02:00`. */
export function localTime(zone: Zone, ms: number): string {
  const offset = offsetAt(zone, ms);
  const minutes = Math.round(Math.abs(offset) / MINUTE_MS);
  const distance = new Date(minutes * MINUTE_MS).toISOString().slice(11, 16);
  return `${new Date(ms + offset).toISOString().slice(0, 19)}${offset < 0 ? "-" : "+"}${distance}`;
}

/** Days remembered: some years. */
const MOST_KEPT = 2_000;

/** A zone by its IANA name. What was found out is remembered, since it takes microseconds to ask. */
export function openZone(timezone: string): Zone {
  if (timezone === "UTC") return { offsetOn: () => 0, changeOn: () => undefined };
  const format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  const ask = (ms: number) => readOffset(format.format(ms));
  const offsetOn = remembered((utcDay) => ask(lastMinuteOf(utcDay)));
  const changeOn = remembered((utcDay): Change | undefined => {
    const [from, to] = [offsetOn(utcDay - 1), offsetOn(utcDay)];
    if (from === to) return undefined;
    let [before, at] = [lastMinuteOf(utcDay - 1), lastMinuteOf(utcDay)];
    while (at - before > MINUTE_MS) {
      const middle = before + Math.floor((at - before) / (2 * MINUTE_MS)) * MINUTE_MS;
      if (ask(middle) === from) before = middle;
      else at = middle;
    }
    return { at, from, to };
  });
  return { offsetOn, changeOn };
}

function lastMinuteOf(utcDay: number): number {
  return (utcDay + 1) * DAY_MS - MINUTE_MS;
}

function remembered<T>(find: (utcDay: number) => T): (utcDay: number) => T {
  const known = new Map<number, T>();
  return (utcDay) => {
    const kept = known.get(utcDay);
    if (kept !== undefined || known.has(utcDay)) return kept as T;
    if (known.size >= MOST_KEPT) known.clear();
    const found = find(utcDay);
    known.set(utcDay, found);
    return found;
  };
}

/** A date that ends in `GMT`, `GMT+02:00` or `GMT-00:44:30`. */
function readOffset(text: string): number {
  const [, sign, hours = 0, minutes = 0, seconds = 0] = /GMT(?:([+-])(\d{2}):(\d{2})(?::(\d{2}))?)?$/.exec(text) ?? [];
  const length = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === "-" ? -length : length;
}
