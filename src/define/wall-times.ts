import type { CronFieldCollection } from "cron-parser";

/** The times that a pattern names, on clocks of no zone in particular. */
export interface WallTimes {
  /** Rising. */
  readonly minutes: readonly number[];
  /** Rising. */
  readonly hours: readonly number[];
  /** True for a day that is named; days are counted from 1970-01-01. */
  isDay(day: number): boolean;
  /** The first day from one on that is named; undefined when none of four hundred years is, after which days repeat. */
  nextDay(day: number): number | undefined;
}

const DAY_MS = 86_400_000;
const REPEATS_AFTER_DAYS = 146_097;

/**
 * Reads the times off parsed fields. Days go by the rule of crontab(5): when neither day of month nor day of week contains a `*`,
 * either is enough; else both must match.
 */
export function wallTimes(fields: CronFieldCollection, expression: string): WallTimes {
  const [, , dayText = "", , weekdayText = ""] = expression.split(" ");
  const months = new Set<unknown>(fields.month.values);
  const isDayOfMonth = dayOfMonthRule(fields);
  const isWeekday = weekdayRule(fields);
  const isEither = !dayText.includes("*") && !weekdayText.includes("*");
  const isDay = (day: number) => {
    const date = dateOf(day);
    if (!months.has(date.month)) return false;
    return isEither ? isDayOfMonth(date) || isWeekday(date) : isDayOfMonth(date) && isWeekday(date);
  };
  return {
    minutes: fields.minute.values,
    hours: fields.hour.values,
    isDay,
    nextDay(from) {
      for (let day = from; day < from + REPEATS_AFTER_DAYS; day += 1) {
        if (isDay(day)) return day;
        const { month, date, daysInMonth } = dateOf(day);
        if (!months.has(month)) day += daysInMonth - date;
      }
      return undefined;
    },
  };
}

interface CalendarDate {
  readonly month: number;
  readonly date: number;
  readonly weekday: number;
  readonly daysInMonth: number;
}

function dateOf(day: number): CalendarDate {
  const at = new Date(day * DAY_MS);
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  const daysInMonth = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return { month: month + 1, date: at.getUTCDate(), weekday: at.getUTCDay(), daysInMonth };
}

/** `L` is the month's last day. */
function dayOfMonthRule({ dayOfMonth }: CronFieldCollection): (date: CalendarDate) => boolean {
  const values = new Set<unknown>(dayOfMonth.values);
  const hasLast = values.has("L");
  return ({ date, daysInMonth }) => values.has(date) || (hasLast && date === daysInMonth);
}

/** `5L` is the month's last Friday, `5#2` its second. */
function weekdayRule({ dayOfWeek }: CronFieldCollection): (date: CalendarDate) => boolean {
  const values = dayOfWeek.values.map(String);
  const plain = new Set(values.filter((value) => !value.endsWith("L")).map((value) => Number(value) % 7));
  const last = new Set(values.filter((value) => value.endsWith("L")).map((value) => Number.parseInt(value, 10) % 7));
  const nth = dayOfWeek.nthDay;
  return ({ date, weekday, daysInMonth }) =>
    (plain.has(weekday) && (nth === 0 || Math.ceil(date / 7) === nth)) || (last.has(weekday) && date > daysInMonth - 7);
}
