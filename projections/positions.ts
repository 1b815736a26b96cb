import { compareIds } from "../streams/ledger.ts";

/** Where an event stands: `queue/incarnation/ms-seq/index`, taken apart. */
export interface Position {
  readonly queue: string;
  readonly incarnation: string;
  /** The entry's id, `ms-seq`. */
  readonly id: string;
  readonly index: number;
}

/** A position, taken apart from its right end: a queue's name may hold slashes. Throws a RangeError. */
export function parsePosition(position: string): Position {
  const [index, id, incarnation, ...queue] = position.split("/").reverse();
  if (queue.length === 0 || id === undefined || incarnation === undefined)
    throw new RangeError(`"${position}" is no position`);
  return { queue: queue.reverse().join("/"), incarnation, id, index: Number(index) };
}

/** Which life of a lane a position is of: `queue/incarnation`. */
export function placeOf(position: string): string {
  return position.slice(0, position.lastIndexOf("/", position.lastIndexOf("/") - 1));
}

/** At most so many entries are remembered per run; of a longer life the middle is left out, and its history is read by a scan. */
export const MOST_POSITIONS = 200;
const KEPT_FIRST = 20;
/** Stands where entries were left out. */
export const GAP = "…";

/**
 * The positions of a run's events, as `task_runs` keeps them, with one more: a line per `queue/incarnation`, followed by entry ids, each once.
 * "backwards" when the entry stands before the last one of the same life of the lane.
 */
export function withPosition(positions: string, position: string): string | "backwards" {
  const indexAt = position.lastIndexOf("/");
  const idAt = position.lastIndexOf("/", indexAt - 1);
  const place = position.slice(0, idAt);
  const id = position.slice(idAt + 1, indexAt);
  if (positions === "") return `${place} ${id}`;
  const lineAt = positions.lastIndexOf("\n") + 1;
  const isSameLine = positions.startsWith(place, lineAt) && positions[lineAt + place.length] === " ";
  if (!isSameLine) return `${positions}\n${place} ${id}`;
  const last = positions.slice(positions.lastIndexOf(" ") + 1);
  if (last === id) return positions;
  if (isAfter(last, id)) return "backwards";
  return positions.length > MOST_POSITIONS * 16 ? shortened(`${positions} ${id}`) : `${positions} ${id}`;
}

const MS_DIGITS = 13; // until the year 2286

/** Whether one id is after another. As strings, where they compare as the numbers do: that is nearly always, and quick. */
function isAfter(a: string, b: string): boolean {
  const isAlike = a.length === b.length && a[MS_DIGITS] === "-" && b[MS_DIGITS] === "-";
  return isAlike ? a > b : compareIds(a, b) > 0;
}

/** The entries that positions name, in order, and whether some were left out. */
export function parsePositions(positions: string): {
  readonly entries: Omit<Position, "index">[];
  readonly isComplete: boolean;
} {
  const entries: Omit<Position, "index">[] = [];
  let isComplete = true;
  for (const line of positions === "" ? [] : positions.split("\n")) {
    const [place = "", ...ids] = line.split(" ");
    const slash = place.lastIndexOf("/");
    for (const id of ids) {
      if (id === GAP) isComplete = false;
      else entries.push({ queue: place.slice(0, slash), incarnation: place.slice(slash + 1), id });
    }
  }
  return { entries, isComplete };
}

/** Drops from the middle of the last line what is over the limit. */
function shortened(positions: string): string {
  const lineAt = positions.lastIndexOf("\n") + 1;
  const [place, ...ids] = positions.slice(lineAt).split(" ");
  if (ids.length <= MOST_POSITIONS) return positions;
  const first = ids.slice(0, KEPT_FIRST).filter((id) => id !== GAP);
  const last = ids.slice(KEPT_FIRST - MOST_POSITIONS).filter((id) => id !== GAP);
  return `${positions.slice(0, lineAt)}${[place, ...first, GAP, ...last].join(" ")}`;
}
