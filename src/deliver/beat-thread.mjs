// Beats for a worker from a thread of its own, so that a handler that blocks the event loop is not taken for dead.
// Plain JavaScript, so that bundlers, loaders and TypeScript need not know of it.
import { parentPort, workerData } from "node:worker_threads";
import { Redis } from "ioredis";

const { url, options, sha, source, calls, everyMs, answerMs, blockedMs, maxBlockMs, shared } = workerData;
/** Shared with the worker, all in ns of the process' monotonic clock: when its event loop last turned, the latest deadline of what runs (0: none), then for each lane when the last good beat was sent. */
const moments = new BigInt64Array(shared);
const [LOOP_AT, DEADLINE_AT, FIRST_BEAT_AT] = [0, 1, 2];
const silence = new Error("no answer");

const redis = new Redis(url, { ...options, reconnectOnError: ({ message }) => message.startsWith("READONLY") });
redis.on("error", () => {}); // beats that fail are tried again, and the worker notices their absence
let openedAt = 0n;
redis.on("connect", () => {
  openedAt = process.hrtime.bigint();
});
let isStopping = false;
let wake = () => {};

parentPort.on("message", () => {
  isStopping = true;
  wake();
});

while (!isStopping) {
  const isDone = mayBeat() && (await beatAll());
  await pause(isDone ? everyMs * (0.9 + 0.2 * Math.random()) : Math.min(everyMs, 100 + 100 * Math.random()));
}
redis.disconnect();
parentPort.close();

/** A worker whose loop has not turned since the last of its runs should have ended, or for very long, is not to be kept alive. */
function mayBeat() {
  const now = process.hrtime.bigint();
  const stillMs = Number(now - Atomics.load(moments, LOOP_AT)) / 1e6;
  const deadlineAt = Atomics.load(moments, DEADLINE_AT);
  if (stillMs > maxBlockMs) return false;
  return stillMs < blockedMs || deadlineAt === 0n || now < deadlineAt;
}

async function beatAll() {
  if (redis.status === "wait" || redis.status === "end") redis.connect().catch(() => {});
  if (redis.status !== "ready") {
    const isMute = redis.status === "connect" && Number(process.hrtime.bigint() - openedAt) / 1e6 > answerMs;
    if (isMute) redis.stream.destroy(); // the link fell silent in its handshake
    return false;
  }
  const answers = await Promise.all(calls.map(beat));
  return answers.every(Boolean);
}

async function beat({ keys, args }, lane) {
  const sentAt = process.hrtime.bigint();
  try {
    const reply = await inTime(send(keys, args));
    Atomics.store(moments, FIRST_BEAT_AT + lane, sentAt);
    parentPort.postMessage({ lane, reply });
    return true;
  } catch (error) {
    if (error === silence) redis.stream.destroy(); // the driver would wait two seconds for a goodbye
    return false;
  }
}

async function send(keys, args) {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!String(error.message).startsWith("NOSCRIPT")) throw error;
    return redis.eval(source, keys.length, ...keys, ...args);
  }
}

async function inTime(answer) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, answerMs, silence);
  });
  answer.catch(() => {}); // it may fail after it was given up
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms) {
  if (isStopping) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
