import type { Broker, BrokerOptions } from "../define/broker.ts";
import type { RunContext } from "../run.ts";
import { leaf, type Provider } from "./provider.ts";

/** The run at hand. */
export const getRun: Provider<RunContext, "run"> = leaf("getRun", "run");

/** The broker and options of the worker at hand: where stock providers find the database, Redis and the logger. */
export const getBroker: Provider<Broker & { readonly options: BrokerOptions }, "worker"> = leaf("getBroker", "worker");
