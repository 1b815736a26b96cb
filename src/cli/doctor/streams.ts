import { LEDGER } from "../../../projections/lane-deps.ts";
import type { Checkpoint } from "../../../sql/queries/checkpoints.ts";
import { FORMAT } from "../../../streams/lane.ts";
import { compareIds, splitId } from "../../../streams/ledger.ts";
import type { LaneState } from "../lane-state.ts";
import { bytesWords, counted, lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn, fail } = findings("streams");

const LONG_WAIT_MS = 5 * 60_000;
const LATE_MS = 30_000;
const VERY_LATE_MS = 10 * 60_000;
const LARGE_LEDGER = 256 * 1_024 * 1_024;

/** How the lanes stand: format, groups, workers, waiting, dead, and how far the projector is behind. No checkpoints: there is no Postgres. */
export function checkStreams(lanes: readonly LaneState[], checkpoints: readonly Checkpoint[] | undefined): Finding[] {
  if (lanes.length === 0) return [ok("no queue has been used yet")];
  return lanes.flatMap((lane) => {
    const found = [checkFormat, checkFull, checkGroups, checkWorkers, checkWaiting, checkDead].flatMap((check) =>
      check(lane),
    );
    return [...found, ...checkProjection(lane, checkpoints)].map((finding) => ({
      ...finding,
      what: `queue ${lane.queue}: ${finding.what}`,
    }));
  });
}

type Check = (lane: LaneState) => Finding[];

const checkFormat: Check = ({ format }) =>
  format === undefined || format <= FORMAT
    ? []
    : [fail(`it is written in format ${format}, and this version reads up to ${FORMAT}`, "Update tasktrail here.")];

const checkFull: Check = ({ isFull, ledger }) =>
  isFull
    ? [
        fail(
          `it takes no dispatches: its ledger has ${bytesWords(ledger.bytes)}, more than its projector allows (maxTail)`,
          "See that the projector and Postgres keep up; it takes them again once a tenth of that is free.",
        ),
      ]
    : [];

const checkGroups: Check = ({ hasGroups, waiting }) => {
  if (hasGroups) return [];
  const what = "no worker has read it yet";
  return waiting === 0
    ? [ok(what)]
    : [warn(`${what}, and ${counted(waiting, "run")} wait`, "Start one: tasktrail worker APP")];
};

const checkWorkers: Check = ({ workers }) => {
  const lapsed = workers.filter(({ leaseLeftMs, holds }) => holds > 0 && (leaseLeftMs ?? 0) <= 0);
  const live = workers.filter(({ leaseLeftMs }) => (leaseLeftMs ?? 0) > 0).length;
  if (lapsed.length === 0) return live === 0 ? [] : [ok(counted(live, "worker"))];
  const held = lapsed.reduce((sum, { holds }) => sum + holds, 0);
  const what = `${counted(held, "entry", "entries")} in the hands of ${counted(lapsed.length, "worker")} without a lease (${lapsed[0]?.worker})`;
  const advice = live > 0 ? "Another worker takes them over within a lease." : "Start a worker: it takes them over.";
  return [live > 0 ? warn(what, advice) : fail(what, advice)];
};

const checkWaiting: Check = ({ waiting, oldestWaitingAt, nowMs, workers, isPaused, hasGroups }) => {
  const waitedMs = oldestWaitingAt === undefined ? 0 : nowMs - oldestWaitingAt;
  const what = `${counted(waiting, "run")} wait${waiting === 1 ? "s" : ""}, the oldest for ${lengthWords(waitedMs)}`;
  if (isPaused) return [warn(`it is paused; ${what}`, "Resume it when the reason has gone.")];
  if (waiting === 0 || !hasGroups) return [];
  if (!workers.some(({ leaseLeftMs }) => (leaseLeftMs ?? 0) > 0))
    return [fail(`${what}, and no worker is there`, "Start one: tasktrail worker APP")];
  return [
    waitedMs < LONG_WAIT_MS
      ? ok(what)
      : warn(what, "Add workers, raise --concurrency, or see what takes so long: tasktrail runs --status running"),
  ];
};

const checkDead: Check = ({ dead }) =>
  dead === 0 ? [] : [warn(`${counted(dead, "run")} died`, "See why: tasktrail dead list")];

function checkProjection(lane: LaneState, checkpoints: readonly Checkpoint[] | undefined): Finding[] {
  const { lastId, bytes } = lane.ledger;
  if (lastId === undefined) return [];
  if (checkpoints === undefined) {
    return (bytes ?? 0) < LARGE_LEDGER
      ? []
      : [
          warn(
            `its ledger takes ${bytesWords(bytes)}`,
            "Nothing trims it without a projector: name a Postgres, and start one.",
          ),
        ];
  }
  const checkpoint = checkpoints.find((one) => one.projection === LEDGER && one.lane.endsWith(`:${lane.queue}`));
  if (checkpoint === undefined) return [warn("no projector has read its ledger", "Start one: tasktrail projector APP")];
  if (lane.incarnation !== undefined && checkpoint.incarnation !== lane.incarnation) {
    return [
      fail(
        "the tables belong to another life of this ledger: Redis was emptied, or lost its data",
        "See what the projector says about it.",
      ),
    ];
  }
  const readTo = `${checkpoint.ms}-${checkpoint.seq}`;
  if (compareIds(readTo, lastId) >= 0) return [ok("the projector is up to date")];
  const behindMs = checkpoint.ms === 0 ? Number.POSITIVE_INFINITY : splitId(lastId)[0] - checkpoint.ms;
  const what =
    checkpoint.ms === 0 ? "the projector has read nothing yet" : `the projector is ${lengthWords(behindMs)} behind`;
  if (behindMs < LATE_MS) return [ok(what)];
  const advice = "See that one is running: tasktrail projector APP";
  return [behindMs < VERY_LATE_MS ? warn(what, advice) : fail(what, advice)];
}
