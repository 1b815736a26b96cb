import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { processUpload } from "./process-upload.ts";

/** How often the folder is looked at, in ms. */
const LOOK_MS = 500;

/** Dispatches a run for every CSV file that is dropped into a folder, until the signal is aborted. */
export async function watchInbox(folder: string, signal: AbortSignal): Promise<void> {
  await mkdir(folder, { recursive: true });
  const sizes = new Map<string, number>();
  const sent = new Set<string>();
  while (!signal.aborted) {
    for (const name of await readdir(folder)) {
      if (!name.toLowerCase().endsWith(".csv")) continue;
      const file = join(folder, name);
      const { size, mtimeMs } = await stat(file);
      const version = `${name} ${size} ${mtimeMs}`;
      const isWhole = sizes.get(file) === size; // still the size of the last look: nobody is writing it any more
      sizes.set(file, size);
      if (!isWhole || size === 0 || sent.has(version)) continue;
      sent.add(version);
      // The content is the key: a file that was processed before, under any name, is not processed again.
      await processUpload.with({ key: await digestOf(file) }).kiq({ file });
    }
    await delay(LOOK_MS, undefined, { signal }).catch(() => {});
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Writes a CSV file of products, a few of whose rows are wrong. It appears under its name once it is whole. */
export async function writeSampleCsv(file: string, rows: number): Promise<void> {
  const part = `${file}.part`;
  await pipeline(Readable.from(sampleLines(rows)), createWriteStream(part));
  await rename(part, file);
}

function* sampleLines(rows: number): Generator<string> {
  yield "sku,title,price_cents,stock\n";
  for (let row = 1; row <= rows; row += 1) {
    const sku = row % 1_000 === 0 ? `broken ${row}` : `AB-${String(row).padStart(5, "0")}`;
    const price = row % 1_700 === 0 ? -1 : 100 + ((row * 37) % 9_900);
    yield `${sku},"Product ${row}, boxed",${price},${row % 250}\n`;
  }
}
