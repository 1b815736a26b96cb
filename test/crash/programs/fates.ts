/** How a transaction ended, as its application saw it. `cut_off`: Postgres went away in the middle; what became of it, Postgres knows. */
export const FATES = ["committed", "rolled_back", "cut_off"] as const;
export type Fate = (typeof FATES)[number];
