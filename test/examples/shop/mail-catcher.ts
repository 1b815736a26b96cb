import { mkdir, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";

/** An SMTP server that keeps each message as a file, and sends none on. */
export interface MailCatcher extends AsyncDisposable {
  /** `smtp://127.0.0.1:port`. */
  readonly url: string;
  readonly folder: string;
}

/** Starts a catcher on a free port of the loopback interface. Messages become `<message id>.eml` in the folder, so that one sent twice is there once. */
export async function startMailCatcher(folder: string): Promise<MailCatcher> {
  await mkdir(folder, { recursive: true });
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onData(stream, _session, done) {
      keep(folder, text(stream)).then(() => done(), done);
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    folder,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function keep(folder: string, message: Promise<string>): Promise<void> {
  const whole = await message;
  const id = /^message-id:\s*<([\w.@-]+)>/im.exec(whole)?.[1] ?? `unnamed-${Date.now()}`;
  await writeFile(join(folder, `${id}.eml`), whole);
}
