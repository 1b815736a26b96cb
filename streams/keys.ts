/**
 * Every Redis key, with its type and lifetime. Keys are built here and nowhere else.
 *
 * All keys of a lane share one hash tag, `{namespace:queue}`, so that a script touches one slot of a Redis Cluster.
 */
export interface LaneKeys {
  /** The hash tag with its braces; also the lane's name in positions and logs. */
  readonly tag: string;
  /**
   * hash, for ever: `format`, `incarnation`, `lanes`, `paused`, the beat's `last` and `grace`, and the longest `lease` of the lane;
   * `regressed`, the incarnation that was drawn when history had diverged; `repair`, `repairUntil` and `repairCall`, who repairs the lane;
   * `archived`, the entry up to which the ledger is archived; `maxTail` and `whenFull`, what its projector allows; `full`, since when no dispatch is taken; `gap`, the
   * first entry after those that were given up.
   */
  readonly meta: string;
  /** stream with group `workers`: entries waiting or running; an entry is deleted when it is settled. */
  readonly tasks: string;
  /** stream with group `workers`: due retries, due delays, hand-backs. Read before `tasks`. */
  readonly again: string;
  /** stream: the ledger's tail. Trimmed below the archive's checkpoint. */
  readonly events: string;
  /** zset: run id → due at, in ms. */
  readonly scheduled: string;
  /** hash: run id → packed entry. */
  readonly scheduledEntries: string;
  /** stream, bounded: runs that died, with why. */
  readonly dead: string;
  /** zset: consumer → lease expiry in server ms; 0 when the worker left of its own will. */
  readonly workers: string;
  /** hash: entry → times a process died while running it alone. */
  readonly strikes: string;
  /** zset: run id → when its cancel was asked for. */
  readonly cancelled: string;
  /**
   * hash, for ever: `definition:<schedule>`; and by `last:<schedule>` the last slot that was acted on, `fired:<schedule>` the last
   * one that made a run, `count:<schedule>` how many did, `seen:<schedule>` when a scheduler last declared it, `since:<schedule>` and
   * `past:<schedule>` the stretches in which all slots made runs, `filled:<schedule>` the call that last added to them. `revision` is when a definition was last written or removed.
   */
  readonly cron: string;
  /** hash, for ever: how far the lane has come with each source: `outbox` → number of its last batch, `topic:NAME:GROUP` → position of a subscription. None but the next step is taken. */
  readonly marks: string;
  /** string, TTL of a second: held by the scheduler that is firing what is due. */
  readonly firing: string;
  /** hash, 1 to 2 h after last use: the last 16 calls of one writer by `number % 16`, each with its ledger id and exceptions, and until when it is `kept`. */
  calls(incarnation: string): string;
  /** string: idempotency key → run id; to the run's ending, and then to the key's own end. */
  key(task: string, key: string): string;
  /** string, TTL of the task's `resultTtl`: the result as JSON. */
  result(run: string): string;
  /** string, TTL of `lockTtl`: the overlap lock, its value the run's id. */
  lock(name: string): string;
  /** string, for longer than its overlap lock may last: a run that has had one has ended, whoever lived to let go of it. */
  ended(run: string): string;
  /** zset, a week after the last was added: run id → slot, of runs of a schedule that wait for each other, or are waited for. */
  turns(schedule: string): string;
}

/** The consumer group of `tasks` and `again`. */
export const GROUP = "workers";

const forbidden = /[:{}\s\0]/;

/** True when a namespace or a queue may be part of a key: not empty, at most 100 characters, none of them `:`, `{`, `}` or white space. */
export function isKeyPart(name: string): boolean {
  return name.length > 0 && name.length <= 100 && !forbidden.test(name);
}

/** The keys of a queue's one lane. `namespace` and `queue` contain no `:`, `{` or `}`: checked where they are given, asserted here. */
export function laneKeys(namespace: string, queue: string): LaneKeys {
  if (!isKeyPart(namespace) || !isKeyPart(queue))
    throw new RangeError(`no key can be built from namespace "${namespace}" and queue "${queue}"`);
  const tag = `{${namespace}:${queue}}`;
  return {
    tag,
    meta: `${tag}:meta`,
    tasks: `${tag}:tasks`,
    again: `${tag}:again`,
    events: `${tag}:events`,
    scheduled: `${tag}:scheduled`,
    scheduledEntries: `${tag}:scheduled:entries`,
    dead: `${tag}:dead`,
    workers: `${tag}:workers`,
    strikes: `${tag}:strikes`,
    cancelled: `${tag}:cancelled`,
    cron: `${tag}:cron`,
    marks: `${tag}:marks`,
    firing: `${tag}:firing`,
    calls: (incarnation) => `${tag}:calls:${incarnation}`,
    key: (task, key) => `${tag}:key:${task}:${key}`,
    result: (run) => `${tag}:result:${run}`,
    lock: (name) => `${tag}:lock:${name}`,
    ended: (run) => `${tag}:ended:${run}`,
    turns: (schedule) => `${tag}:turns:${schedule}`,
  };
}

/** set, for ever: the queues of a namespace that were ever written to, so that tools can list them. */
export function queuesKey(namespace: string): string {
  return `{${namespace}}:queues`;
}

/** stream of one entry: added to when a transaction with dispatches has committed, so that relays look at once. */
export function bellKey(namespace: string): string {
  return `{${namespace}}:bell`;
}

/** stream of one entry: added to when a schedule was made, changed, paused, resumed or removed, so that schedulers look at once. */
export function scheduleBellKey(namespace: string): string {
  return `{${namespace}}:schedules`;
}

/** The keys of a namespace's topics, which share one hash tag. */
export interface TopicKeys {
  /** hash, for ever: `outbox` → the number of the last batch of domain events that was published from it. */
  readonly marks: string;
  /** hash, for ever: "topic group" → JSON of the subscription as it was declared last, and whether it is paused. */
  readonly subscriptions: string;
}

/** The keys of a namespace's topics. */
export function topicKeys(namespace: string): TopicKeys {
  return { marks: `{${namespace}}:marks`, subscriptions: `{${namespace}}:subscriptions` };
}

/** stream with a group for each subscription, bounded: the domain events of a topic, one CloudEvents JSON an entry. */
export function topicKey(namespace: string, topic: string): string {
  return `{${namespace}}:topic:${topic}`;
}

/** Events that a topic keeps at most, about, whoever has yet to read them: a stream without an end would fill the memory. */
export const TOPIC_MOST = 1_000_000;
