// The servers of `npm start` without its application: what the tests of the servers start, stop and kill.
import { once } from "node:events";
import { program, stopSignal } from "../../src/dev/program.ts";
import { openDevServers } from "../../src/dev/servers.ts";

await program(async () => {
  const asked = stopSignal();
  await using _servers = await openDevServers(console.error);
  const busy = setInterval(() => {}, 60_000); // a signal alone does not keep Node running
  if (process.argv[2] !== "briefly" && !asked.aborted) await once(asked, "abort");
  clearInterval(busy);
  return 0;
});
