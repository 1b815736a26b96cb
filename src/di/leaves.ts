import type { Broker, BrokerOptions } from "../define/broker.ts";
import type { RunContext } from "../run.ts";
import { leaf, type Provider } from "./provider.ts";

/** The name of the leaf whose value is the run at hand. */
export const RUN_LEAF = "getRun";
/** The name of the leaf whose value is the broker at hand, with its options. */
export const BROKER_LEAF = "getBroker";

/** The run at hand. */
export const getRun: Provider<RunContext, "run"> = leaf(RUN_LEAF, "run");

/** The broker and options of the worker at hand: where stock providers find the database, Redis and the logger. */
export const getBroker: Provider<Broker & { readonly options: BrokerOptions }, "worker"> = leaf(BROKER_LEAF, "worker");
