import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { basename } from "node:path";
import { parse } from "csv-parse";
import { type DatabaseTransactionConnection, sql } from "slonik";
import { Abort } from "tasktrail";
import { getDbSession, getLogger } from "tasktrail/deps";
import { z } from "zod";
import { broker } from "./broker.ts";

const BATCH_ROWS = 500;

const product = z.object({
  sku: z.string().regex(/^[A-Z]{2}-\d{4,6}$/, "like AB-12345"),
  title: z.string().trim().min(1).max(200),
  price_cents: z.coerce.number().int().positive(),
  stock: z.coerce.number().int().nonnegative(),
});
type Product = z.infer<typeof product>;

/** Reads a CSV file of products as a stream, checks each row, and upserts the good ones. The same file again changes nothing. */
export const processUpload = broker.task({
  name: "process_upload",
  input: z.object({ file: z.string() }),
  deps: { db: getDbSession, logger: getLogger },
  retry: { attempts: 3, delay: "1s" },
  timeout: "5m",
  async run({ file }, { db, logger }, run) {
    await access(file).catch(() => {
      throw new Abort(`${file} is not there`);
    });
    const digest = createHash("sha256");
    const source = createReadStream(file).on("data", (chunk) => digest.update(chunk));
    const records = source.pipe(parse({ columns: true, skip_empty_lines: true, trim: true }));
    source.once("error", (error) => records.destroy(error));

    let batch: Product[] = [];
    let accepted = 0;
    const rejected: { line: number; problem: string }[] = [];
    for await (const record of records) {
      run.signal.throwIfAborted();
      const checked = product.safeParse(record);
      if (checked.success) batch.push(checked.data);
      else rejected.push({ line: records.info.lines, problem: z.prettifyError(checked.error).replaceAll("\n", " ") });
      if (batch.length === BATCH_ROWS) {
        accepted += await upsert(db, batch);
        batch = [];
        run.progress(accepted + rejected.length, undefined, basename(file));
      }
    }
    accepted += await upsert(db, batch);
    await recordUpload(db, {
      file: basename(file),
      digest: digest.digest("hex"),
      accepted,
      rejected: rejected.length,
      run: run.id,
    });
    logger.info({ file: basename(file), accepted, rejected: rejected.length }, "upload processed");
    return { accepted, rejected: rejected.length, problems: rejected.slice(0, 5) };
  },
});

/** Writes a batch in one statement. The last row of a product wins, so that one statement never touches a row twice. */
async function upsert(db: DatabaseTransactionConnection, batch: readonly Product[]): Promise<number> {
  if (batch.length === 0) return 0;
  const rows = [...new Map(batch.map((row) => [row.sku, row])).values()];
  await db.query(sql.unsafe`
    insert into shop_products (sku, title, price_cents, stock)
    select sku, title, price_cents, stock
    from jsonb_to_recordset(${sql.jsonb(rows)}) as row (sku text, title text, price_cents integer, stock integer)
    on conflict (sku) do update
    set title = excluded.title, price_cents = excluded.price_cents, stock = excluded.stock, updated_at = now()
    where (shop_products.title, shop_products.price_cents, shop_products.stock)
      is distinct from (excluded.title, excluded.price_cents, excluded.stock)
  `);
  return batch.length;
}

interface Upload {
  readonly file: string;
  readonly digest: string;
  readonly accepted: number;
  readonly rejected: number;
  readonly run: string;
}

async function recordUpload(db: DatabaseTransactionConnection, upload: Upload): Promise<void> {
  await db.query(sql.unsafe`
    insert into shop_uploads (digest, file, accepted, rejected, run_id)
    values (${upload.digest}, ${upload.file}, ${upload.accepted}, ${upload.rejected}, ${upload.run})
    on conflict (digest) do update set run_id = excluded.run_id, processed_at = now()
  `);
}
