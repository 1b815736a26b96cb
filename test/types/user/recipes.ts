// biome-ignore-all lint: only the types of it are looked at

import { pino } from "pino";
import {
  Abort,
  contract,
  createBroker,
  createProjector,
  createScheduler,
  createWorker,
  duration,
  getBroker,
  getRun,
  override,
  provider,
  Retry,
  TasktrailError,
  topic,
  unchecked,
} from "tasktrail";
import { getDbSession, getEventPublisher, getLogger, getPool } from "tasktrail/deps";
import { z } from "zod";

// config from the environment, own pino
export const broker = createBroker({
  logger: pino({ level: "info" }),
  namespace: "shop",
  defaults: { timeout: duration(process.env["TASK_TIMEOUT"] ?? "10m") },
});

// Retry and Abort, progress, extend, own bindings
export const charge = broker.task({
  name: "charge",
  queue: "payments",
  version: 2,
  input: z.object({ orderId: z.uuid(), cents: z.int().positive() }),
  deps: { db: getDbSession, logger: getLogger, pool: getPool },
  retry: { attempts: 8, backoff: (attempt) => `${2 ** attempt}s`, when: (e) => !(e instanceof SyntaxError) },
  async run({ orderId, cents }, { logger }, run) {
    if (cents > 1e9) throw new Abort("too much");
    if (run.attempt === 1) throw new Retry({ in: "30s", message: "bank says wait" });
    await run.extend("5m");
    run.progress(1, 2, "charged");
    logger.info(run.bindings, orderId);
    await fetch("http://127.0.0.1/", { signal: run.signal });
    return { receipt: `${orderId}:${run.fencingToken}` };
  },
});

// a web application: dispatch only
export async function route(request: { body: unknown }) {
  try {
    const run = await charge
      .with({ key: "order:1", keyTtl: "run", expires: "1h", labels: { tenant: "a" } })
      .kiq(request.body as { orderId: string; cents: number });
    return { status: 202, run: run.id };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "invalid_input")
      return { status: 400, error: (error as TasktrailError).message };
    throw error;
  }
}
export async function statusRoute(id: string) {
  const run = charge.handle(id);
  return { status: await run.status(), result: (await run.result({ timeout: "1s" })).receipt };
}

// Nest: a service implements a contract; the container's values reach providers by override
export const sendInvoice = contract({
  name: "send_invoice",
  input: z.object({ id: z.string() }),
  output: z.object({ number: z.string() }),
});
class Mailer {
  async send(id: string) {
    return `n${id}`;
  }
}
const getMailer = provider({ scope: "worker", provide: (_, use) => use(new Mailer()) });
export class InvoiceService {
  readonly mailer: Mailer;
  constructor(mailer: Mailer) {
    this.mailer = mailer;
  }
  onModuleInit() {
    sendInvoice.implement(broker, { run: async ({ id }) => ({ number: await this.mailer.send(id) }) });
  }
}
export async function main(container: { get<T>(type: new (...a: any[]) => T): T }, signal: AbortSignal) {
  await using worker = createWorker(broker, {
    queues: ["emails"],
    concurrency: 50,
    overrides: [override(getMailer, container.get(Mailer))],
  });
  await Promise.all([worker.run(signal), createScheduler(broker).run(signal), createProjector(broker).run(signal)]);
}

// request-scoped things of a container, per run
declare const moduleRef: { resolve<T>(t: new (...a: any[]) => T, id: object): Promise<T> };
export const getInvoices = provider({
  deps: { run: getRun, broker: getBroker },
  async provide({ run }, use) {
    return use(await moduleRef.resolve(InvoiceService, { id: run.id }));
  },
});

// domain events
const orderPaid = topic("order.paid", z.object({ orderId: z.string() }));
export const paid = broker.task({
  name: "paid",
  deps: { events: getEventPublisher },
  run(_, { events }) {
    events.publish(orderPaid, { orderId: "1" }, { subject: "1" });
  },
});

// a run's life
export async function history(id: string) {
  return (await broker.handle(id).events()).map((event) => (event.type === "run.died" ? event.reason : event.type));
}
void unchecked;
