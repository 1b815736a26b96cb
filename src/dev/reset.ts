// `npm run reset`: removes the data that `npm start` has kept, and refuses while it runs.
import { devDataFolder, holdDevData, removeDevData } from "./dev-data.ts";
import { program } from "./program.ts";

await program(async () => {
  const folder = devDataFolder();
  using _hold = holdDevData(folder);
  removeDevData(folder);
  console.log(`Removed the data in ${folder}. The next start begins anew.`);
  return 0;
});
