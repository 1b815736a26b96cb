// What a package needs that producers and workers share. Nothing is imported at run time but declarations.
export { type Contract, type ContractDefinition, contract } from "./define/contract.ts";
export { type InputOf, type OutputOf, type Schema, unchecked } from "./define/schema.ts";
export { type Topic, topic } from "./define/topic.ts";
