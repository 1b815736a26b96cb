import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

/** A file that lines are appended to, each whole, by any number of processes: a line is one write under O_APPEND. */
export interface Journal extends Disposable {
  append(line: readonly (string | number)[]): void;
  /** Has the lines so far reach the disk. */
  sync(): void;
}

/** Opens a journal for appending. */
export function openJournal(path: string): Journal {
  const file = openSync(path, "a");
  return {
    append: (line) => void writeSync(file, `${line.join(" ")}\n`),
    sync: () => fsyncSync(file),
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** The lines of a journal, in the order in which they were written. A line that a killed process left unfinished is passed over. */
export function readJournal(path: string): string[][] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(" "));
}
