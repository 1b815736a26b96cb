import pg from "pg";
import type { DatabasePool } from "slonik";
import { migrate } from "../../../sql/migrate.ts";
import { openPool } from "../../../sql/pool.ts";
import { createBroker } from "../../../src/broker.ts";
import type { Broker, LoggerLike } from "../../../src/define/broker.ts";
import type { Role } from "../../../src/define/role.ts";
import { openLedger, type TestLedger } from "../../support/ledger.ts";
import { testDatabase, testNamespace, testRedis } from "../../support/servers.ts";

/** A broker with a database, its ledger, and roles that end with the test. */
export interface Stage extends AsyncDisposable {
  readonly broker: Broker;
  readonly namespace: string;
  readonly redisUrl: string;
  readonly database: string;
  readonly pool: DatabasePool;
  readonly ledger: TestLedger;
  readonly complaints: { readonly message?: string }[];
  /** A broker as in another process. */
  another(): Broker;
  /** A client of pg, as applications without slonik have one. */
  client(): Promise<pg.Client>;
  /** Runs a role to the end of the test. */
  run(role: Role): Role;
}

/** Opens all of it, with the tables made, in a namespace and a database of its own. */
export async function openStage({ redisUrl }: { readonly redisUrl?: string } = {}): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const [redis, database] = await Promise.all([redisUrl ?? testRedis(), testDatabase()]);
  const namespace = testNamespace();
  const complaints: { message?: string }[] = [];
  const told = (bindings: object, message?: string) => void complaints.push({ message, ...bindings } as never);
  const logger: LoggerLike = { debug() {}, info() {}, warn: told, error: told, child: () => logger };
  const ledger = opened.use(await openLedger(redis, namespace));
  const pool = opened.adopt(await openPool(database), (one) => one.end());
  await migrate(pool);
  const stack = opened.move();
  const another = () => stack.use(createBroker({ redis, database, namespace, logger, enqueueTimeout: "2s" }));
  const broker = another();
  return {
    broker,
    namespace,
    redisUrl: redis,
    database,
    pool,
    ledger,
    complaints,
    another,
    async client() {
      const client = new pg.Client({ connectionString: database });
      client.on("error", () => {});
      await client.connect();
      stack.defer(() => client.end());
      return client;
    },
    run(role) {
      stack.defer(() => role.stop());
      role.run().catch((error: unknown) => complaints.push(error as Error));
      return role;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
