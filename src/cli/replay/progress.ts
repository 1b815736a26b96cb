import type { ReplayProgress } from "../../../projections/catch-up.ts";
import type { Terminal } from "../terminal.ts";
import { lengthWords } from "../words.ts";

/** How often progress is told, in ms. */
const TELL_EVERY_MS = 1_000;

/** Tells on stderr, once a second, how far a replay is: events, events a second, and the time that is left at this pace. */
export function tellProgress(
  name: string,
  { note }: Pick<Terminal, "note">,
  now = () => performance.now(),
): (progress: ReplayProgress) => void {
  const startedAt = now();
  let toldAt = startedAt;
  let step: ReplayProgress["step"] = "folding";
  return (progress) => {
    const isNews = progress.step !== step && progress.step !== "catching up";
    if (!isNews && now() - toldAt < TELL_EVERY_MS) return;
    toldAt = now();
    step = progress.step;
    note(`${name}: ${progressWords(progress, now() - startedAt)}`);
  };
}

/** Progress in words. Pure. */
export function progressWords({ step, events, total, resumed }: ReplayProgress, tookMs: number): string {
  const perSecond = Math.round(((events - resumed) * 1_000) / Math.max(tookMs, 1));
  const whole = Math.max(total, events);
  const done = `${events.toLocaleString("en")} of ${whole.toLocaleString("en")} events`;
  if (step === "comparing") return `${done} folded; comparing`;
  if (step === "applying") return `${done} folded; applying the differences`;
  const pace = perSecond === 0 ? "" : `, ${perSecond.toLocaleString("en")}/s`;
  const left =
    perSecond === 0 || whole <= events ? "" : `, ${lengthWords(((whole - events) * 1_000) / perSecond)} left`;
  return `${step === "folding" ? "" : `${step}, `}${done}${pace}${left}`;
}
