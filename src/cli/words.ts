/** A length of time in its largest unit, with one decimal below ten seconds: `350ms`, `2.4s`, `12m`, `3h`, `5d`. */
export function lengthWords(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 0) return `-${lengthWords(-ms)}`;
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1).replace(/\.0$/, "")}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 120 * 60) return `${Math.round(seconds / 60)}m`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

/** An instant as seen from now: `3s ago`, `in 5m`, `now`. */
export function relativeWords(at: number, now: number): string {
  const distance = now - at;
  if (Math.abs(distance) < 500) return "now";
  return distance > 0 ? `${lengthWords(coarse(distance))} ago` : `in ${lengthWords(coarse(-distance))}`;
}

// Tenths of a second and milliseconds would say more than anybody can see.
function coarse(ms: number): number {
  return Math.max(1, Math.round(ms / 1_000)) * 1_000;
}

/** A number of bytes: `812 B`, `14 KB`, `2.5 MB`. */
export function bytesWords(bytes: number | undefined): string {
  if (bytes === undefined) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1_000 && unit < units.length - 1) {
    amount /= 1_024;
    unit += 1;
  }
  return `${amount < 10 && unit > 0 ? amount.toFixed(1) : Math.round(amount)} ${units[unit]}`;
}

/** An instant in the time zone of this machine: `2031-05-04 14:03:22`. */
export function localTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(at).slice(0, 8)}`;
}

/** The time of day in the time zone of this machine: `14:03:22.140`. */
export function clockTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** `1 run`, `2 runs`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
