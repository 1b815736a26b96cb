import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { emit } from "../../../src/dev/emit.ts";
import { root } from "../../../src/dev/run.ts";
import type { Bench } from "../bench.ts";
import { queues } from "../contenders/all.ts";

const PROGRAM = fileURLToPath(new URL("../cold-start-program.ts", import.meta.url));

/** A worker's process from its start to its first handler, on a queue in which one run waits. The package is used as it is published, built. */
export const coldStart: Bench = {
  name: "cold-start",
  what: "from the start of a worker's process to its first handler, and what it holds then",
  contenders: queues,
  figures: [
    { name: "started", unit: "ms", better: "lower" },
    { name: "imported", unit: "ms", better: "lower" },
    { name: "resident", unit: "MiB", better: "lower" },
  ],
  steps: {},
  async play(setting) {
    await build();
    const play = async (part: string) => {
      const env = { ...process.env, BENCH_REDIS: setting.redis, BENCH_CONTENDER: setting.contender, BENCH_PART: part };
      const child = spawn(process.execPath, [PROGRAM], { env, stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      child.stdout.on("data", (chunk) => (said += String(chunk)));
      await once(child, "close");
      return said;
    };
    await play("fill");
    return JSON.parse(await play("work")) as Record<string, number>;
  },
};

/** Builds the package, unless it has been since its sources were last written. */
async function build(): Promise<void> {
  const written = (path: string) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = globSync("{src,streams,projections,sql,otel}/**/*.{ts,lua,sql}", { cwd: root });
  if (written("dist/src/index.js") > Math.max(...sources.map(written))) return;
  if ((await emit(join(root, "dist"))) !== 0) throw new Error("the package could not be built");
}
