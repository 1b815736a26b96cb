// biome-ignore-all lint: only the types of it are looked at
// A package of contracts, and of topics, that producers and workers share.
import { contract, topic, unchecked } from "tasktrail/contract";
import { z } from "zod";

export const sendReport = contract({
  name: "send_report",
  input: z.object({ id: z.string() }),
  output: z.object({ at: z.iso.datetime().transform((s) => new Date(s)) }),
});
export const legacy = contract({ name: "legacy", input: unchecked<{ n: number }>() });
export const reportSent = topic("report.sent", z.object({ id: z.string() }));
