#!/usr/bin/env node
// The bin. It imports nothing before it has seen the version: an older Node would meet a SyntaxError instead of this line.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(
    `tasktrail needs Node.js 24 or newer, and this is ${process.version}. Install it from https://nodejs.org.`,
  );
  process.exit(78);
}
const { runCli } = await import("./run-cli.ts");
const exitCode = await runCli(process.argv.slice(2));
// An application may leave timers and sockets open: the command has ended all the same.
process.exit(exitCode);
