import { sql } from "slonik";
import { cron, topic } from "tasktrail";
import { getDbSession, getEventPublisher, getLogger } from "tasktrail/deps";
import { z } from "zod";
import { broker } from "./broker.ts";
import { settings } from "./settings.ts";

const offer = z.object({ sku: z.string(), title: z.string(), price_cents: z.int(), stock: z.int() });
const catalog = z.object({ products: z.array(offer) });

/** Published for each product whose offer at the supplier has changed. */
export const productChanged = topic(
  "product.changed",
  z.object({ sku: z.string(), price_cents: z.number(), stock: z.number() }),
);

/** Every six hours: fetches the supplier's catalog, takes over what changed, and tells of each change. */
export const syncExternalData = cron(broker, "0 */6 * * *", {
  name: "sync_external_data",
  lockTtl: 300,
  deps: { db: getDbSession, events: getEventPublisher, logger: getLogger },
  async run(slot, { db, events, logger }, run) {
    const response = await fetch(settings().catalogUrl, { signal: run.signal });
    if (!response.ok) throw new Error(`the supplier answered ${response.status} ${response.statusText}`);
    const { products } = catalog.parse(await response.json());

    const changed = await db.any(sql.type(offer)`
      insert into shop_offers (sku, title, price_cents, stock)
      select sku, title, price_cents, stock
      from jsonb_to_recordset(${sql.jsonb(products)}) as row (sku text, title text, price_cents integer, stock integer)
      on conflict (sku) do update
      set title = excluded.title, price_cents = excluded.price_cents, stock = excluded.stock, synced_at = now()
      where (shop_offers.title, shop_offers.price_cents, shop_offers.stock)
        is distinct from (excluded.title, excluded.price_cents, excluded.stock)
      returning sku, title, price_cents, stock
    `);
    for (const { sku, price_cents, stock } of changed)
      events.publish(productChanged, { sku, price_cents, stock }, { subject: sku });
    logger.info({ slot: slot.at.toISOString(), seen: products.length, changed: changed.length }, "catalog synced");
    return { seen: products.length, changed: changed.length };
  },
});
