import { setTimeout as delay } from "node:timers/promises";
import type { Order } from "../programs/order.ts";
import type { FaultyLink } from "../proxy.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 20;

/** Every link is cut again and again. */
export const linksCut: Scenario = {
  name: "links-cut",
  what: "every connection of every process is cut every two seconds: nothing is stranded with a worker that never got it",
  sizes: { ladder: 5_000, small: 600 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    await behindLink(stage, { ms: 20, pauseMs: 80 }, (proxy) => {
      const timer = setInterval(() => {
        proxy.cut();
        stage.healed();
      }, 2_000);
      return () => clearInterval(timer);
    });
  },
};

/** Each dispatch, and every second call of a worker, loses its answer. */
export const repliesLost: Scenario = {
  name: "replies-lost",
  what: "every second call of each connection loses its answer after it was carried out, those of dispatches among them: nothing is doubled",
  sizes: { ladder: 10_000, small: 400 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const brokers = Math.min(40, stage.size / 10);
    const lost = await behindLink(stage, { inFlight: brokers, brokers }, (proxy) => {
      proxy.loseReplies("calls");
      return () => proxy.heal();
    });
    stage.remark(`${lost} answers lost`);
    if (lost < stage.size / 2) stage.note(`only ${lost} answers were lost`);
  },
};

/** No blocking read ever gets its answer: what it was given is fetched by comparing. */
export const readsLost: Scenario = {
  name: "reads-lost",
  what: "on each connection the first answer to a blocking read that brings something is lost, and the connection cut: nothing is stranded",
  sizes: { ladder: 3_000, small: 300 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const lost = await behindLink(stage, { ms: 5, inFlight: 50, pauseMs: 50 }, (proxy) => {
      proxy.loseReplies("reads");
      return () => proxy.heal();
    });
    stage.remark(`${lost} answers lost`);
    if (lost < 10) stage.note(`only ${lost} answers were lost`);
  },
};

/** The link goes silent without closing, for longer than a lease. */
export const silentLink: Scenario = {
  name: "silent-link",
  what: "the link goes silent for five seconds without closing, twice: no worker stays dead",
  sizes: { ladder: 3_000, small: 500 },
  allowedDuplicates: () => 2 * 2 * 2 * CONCURRENCY, // two workers, two rounds
  async play(stage) {
    const { proxy, env } = await stage.link();
    await stage.workers(2, { concurrency: CONCURRENCY }, env);
    const produced = stage.produce(stage.size, { ms: 20, inFlight: 50, pauseMs: 50 }, env);
    await stage.begun();
    for (let round = 0; round < 2; round += 1) {
      await delay(1_000);
      proxy.silence();
      await delay(5_000);
      proxy.heal();
      stage.healed();
    }
    await produced;
    await stage.endings(stage.size);
  },
};

/** Plays with producers and workers behind one link, to which something is done until all runs have ended. Gives how many answers were lost. */
async function behindLink(
  stage: Stage,
  order: Partial<Order>,
  harm: (proxy: FaultyLink) => () => void,
): Promise<number> {
  const { proxy, env } = await stage.link();
  await stage.workers(2, { concurrency: CONCURRENCY }, env);
  const mend = harm(proxy);
  try {
    await stage.produce(stage.size, order, env);
    await stage.endings(stage.size);
  } finally {
    mend();
  }
  return proxy.lostCount();
}
