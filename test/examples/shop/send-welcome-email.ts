import { createTransport } from "nodemailer";
import { sql } from "slonik";
import { Abort, topic } from "tasktrail";
import { getDbSession, getEventPublisher, getLogger, getPool } from "tasktrail/deps";
import { z } from "zod";
import { broker } from "./broker.ts";
import { settings } from "./settings.ts";

/** Published once the welcome is recorded. */
export const userWelcomed = topic("user.welcomed", z.object({ userId: z.string(), messageId: z.string() }));

const user = z.object({ id: z.string(), name: z.string(), email: z.string() });

/** Sends a new user a message, and records that it went out. */
export const sendWelcomeEmail = broker.task({
  name: "send_welcome_email",
  input: z.object({ userId: z.string() }),
  deps: { pool: getPool, db: getDbSession, logger: getLogger, events: getEventPublisher },
  retry: { attempts: 5, backoff: "exponential", delay: "500ms" },
  timeout: "30s",
  async run({ userId }, { pool, db, logger, events }, run) {
    // Read outside the session: a transaction should not stand open while a mail server thinks.
    const found = await pool.maybeOne(sql.type(user)`select id, name, email from shop_users where id = ${userId}`);
    if (found === null) throw new Abort(`there is no user ${userId}`);

    const mail = await createTransport(settings().smtpUrl).sendMail({
      from: "The Shop <hello@shop.example>",
      to: `${found.name} <${found.email}>`,
      subject: `Welcome, ${found.name}`,
      text: `Dear ${found.name},\n\nwe are glad to have you.\n\nThe Shop\n`,
      // The run's id: a redelivered run sends the same message again, and not another one.
      messageId: `<${run.id}@shop.example>`,
    });

    await db.query(sql.unsafe`
      insert into shop_welcomes (user_id, run_id, message_id)
      values (${userId}, ${run.id}, ${mail.messageId})
      on conflict (user_id) do nothing
    `);
    events.publish(userWelcomed, { userId, messageId: mail.messageId }, { subject: userId });
    logger.info({ to: found.email }, "welcome sent");
    return { messageId: mail.messageId };
  },
});
