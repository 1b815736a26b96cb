// `npm run format`: formats everything, and mends what the linter can mend safely.
import { runTool } from "./run.ts";

process.exitCode = (await runTool("biome", ["check", "--write", ...process.argv.slice(2)])).code;
