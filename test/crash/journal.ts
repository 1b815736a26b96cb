import { closeSync, createReadStream, existsSync, fsync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const syncFile = promisify(fsync);

/** A file that lines are appended to, each whole, by any number of processes: a line is one write under O_APPEND. */
export interface Journal extends Disposable {
  append(line: readonly (string | number)[]): void;
  /** Resolves once all lines so far are on the disk. Those who ask while one fsync is under way share the next. */
  sync(): Promise<void>;
}

/** Opens a journal for appending. */
export function openJournal(path: string): Journal {
  const file = openSync(path, "a");
  let current = Promise.resolve();
  let next: Promise<void> | undefined;
  return {
    append: (line) => void writeSync(file, `${line.join(" ")}\n`),
    sync() {
      next ??= current.then(() => {
        next = undefined;
        current = syncFile(file);
        return current;
      });
      return next;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** The lines of a journal, in the order in which they were written. One that a killed process left unfinished is handed on as far as it goes. */
export async function* readJournal(path: string): AsyncGenerator<string[]> {
  if (!existsSync(path)) return;
  for await (const line of createInterface({ input: createReadStream(path) })) if (line !== "") yield line.split(" ");
}
