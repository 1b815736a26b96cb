import { z } from "zod";

const schema = z.object({
  /** Where mail goes: `smtp://host:port`. */
  SHOP_SMTP_URL: z.url({ protocol: /^smtps?$/ }),
  /** The supplier's catalog: a URL that answers with JSON. */
  SHOP_CATALOG_URL: z.url({ protocol: /^https?$/ }),
});

/** What the shop needs to know of its surroundings, read when a task first asks. Throws a ZodError that names the variable. */
export function settings(): { readonly smtpUrl: string; readonly catalogUrl: string } {
  const env = schema.parse(process.env);
  return { smtpUrl: env.SHOP_SMTP_URL, catalogUrl: env.SHOP_CATALOG_URL };
}
