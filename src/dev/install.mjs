// Brings node_modules in line with package-lock.json, and finds the Node that the project wants.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const WANTED_NODE = 24;

/** Set-up could not be done; the message says what to do. */
export class InstallFailed extends Error {}

/** Installs the packages unless they are what the lock file names. Safe to call from several processes at once. */
export async function install(root) {
  if (isInstalled(root)) return;
  const release = await takeLock(join(root, ".tasktrail", "install.lock"));
  try {
    if (!isInstalled(root)) installPackages(root);
  } finally {
    release();
  }
}

/** The path of a Node of the wanted version: the project's own, else the one that runs us. */
export function nodeBinary(root) {
  const own = join(root, "node_modules", "node", "bin", "node");
  if (existsSync(own)) return own;
  if (runningMajor() >= WANTED_NODE) return process.execPath;
  throw new InstallFailed(
    `Node ${WANTED_NODE} is missing: the "node" package fetches it in an install script, which did not succeed.\n` +
      `Run "npm rebuild node", or use Node ${WANTED_NODE} or newer yourself.`,
  );
}

function isInstalled(root) {
  if (!existsSync(join(root, "node_modules", "tsx"))) return false;
  const stamp = join(root, "node_modules", ".tasktrail-stamp");
  const wanted = stampOf(root);
  if (read(stamp) === wanted) return true;
  // Somebody ran npm themselves: look at what is there rather than install it again.
  if (!matchesLock(root)) return false;
  fetchNode(root);
  writeFileSync(stamp, wanted);
  return true;
}

function stampOf(root) {
  const lock = readFileSync(join(root, "package-lock.json"));
  return `${createHash("sha256").update(lock).digest("hex")} ${process.platform}-${process.arch}\n`;
}

/** Whether npm's own record of the installed packages has every version the lock file names. */
function matchesLock(root) {
  const installed = read(join(root, "node_modules", ".package-lock.json"));
  if (installed === undefined) return false;
  const have = JSON.parse(installed).packages;
  const want = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  return Object.entries(want).every(
    ([path, entry]) => path === "" || entry.optional || entry.peer || have[path]?.version === entry.version,
  );
}

function installPackages(root) {
  step("installing packages (npm ci)");
  const startedAt = Date.now();
  const failure = npmCi(root, []);
  // A home that cannot be written to (containers, CI) has no room for npm's cache: keep it beside the checkout's data.
  if (failure !== undefined && /EACCES|EROFS|EPERM/.test(failure)) {
    const again = npmCi(root, ["--cache", join(root, ".tasktrail", "npm-cache")]);
    if (again !== undefined) throw installError(again);
  } else if (failure !== undefined) {
    throw installError(failure);
  }
  fetchNode(root);
  writeFileSync(join(root, "node_modules", ".tasktrail-stamp"), stampOf(root));
  step(`packages installed in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** Undefined when it succeeded, else what npm printed. */
function npmCi(root, extra) {
  // Dev dependencies are named because NODE_ENV=production would leave them out.
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"];
  return npm(root, [...args, "--engine-strict=false", ...extra]);
}

function npm(cwd, args) {
  const cli = process.env.npm_execpath ?? "";
  const [command, first] = basename(cli).startsWith("npm-cli") ? [process.execPath, [cli]] : ["npm", []];
  const result = spawnSync(command, [...first, ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.error) return `npm could not be run: ${result.error.message}`;
  return result.status === 0 ? undefined : `${result.stdout}${result.stderr}`.trim();
}

function installError(output) {
  const said = output
    .split("\n")
    .filter((line) => line !== "npm error")
    .slice(0, 15)
    .join("\n"); // its usage follows
  return new InstallFailed(
    `The packages could not be installed. npm said:\n\n${said}\n\n` +
      "Mend what it names (often the network or the disk), then run the same command again.",
  );
}

/** The "node" package brings its binary by an install script; where scripts are blocked, run that step ourselves. */
function fetchNode(root) {
  const home = join(root, "node_modules", "node");
  if (existsSync(join(home, "bin", "node")) || runningMajor() >= WANTED_NODE) return;
  step(`fetching Node ${WANTED_NODE} (install scripts are off)`);
  spawnSync(process.execPath, ["installArchSpecificPackage.js"], {
    cwd: home,
    env: { ...process.env, npm_config_ignore_scripts: "false", npm_config_loglevel: "error" },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** A folder is made by one process only; the others wait until its maker is done or dead. */
async function takeLock(lock) {
  mkdirSync(dirname(lock), { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = Number(read(lock));
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true });
    else if (!waited) step(`process ${owner} is installing the packages: waiting`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function runningMajor() {
  return Number(process.versions.node.split(".")[0]);
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function step(text) {
  console.error(`set-up: ${text}`);
}
