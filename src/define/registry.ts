import { duplicateTask } from "../errors.ts";
import type { AnyDefinition } from "./projection.ts";
import type { Subscription } from "./subscription.ts";
import type { TaskRecord } from "./task.ts";

/** The tasks that were declared on a broker. */
export interface Registry {
  /** Keeps a declaration. The last one of a name is the one that counts: a development server evaluates modules again. */
  add(record: TaskRecord): void;
  /** The task of that name. */
  get(name: string): TaskRecord | undefined;
  /** One record per name, in order of their first declaration. */
  tasks(): readonly TaskRecord[];
  /** Every declaration, duplicates included, in order. */
  declarations(): readonly TaskRecord[];
  /** Keeps a subscription. The last one of a topic and group is the one that counts. */
  subscribe(subscription: Subscription): void;
  subscriptions(): readonly Subscription[];
  /** Keeps a projection. The last one of a name is the one that counts. */
  project(projection: AnyDefinition): void;
  projections(): readonly AnyDefinition[];
  /** Every queue that a task names, sorted. */
  queues(): readonly string[];
  /** Throws DuplicateTask, with both places, when a name was declared twice. To be called when a worker is created. */
  assertUnique(): void;
}

/** An empty registry. */
export function createRegistry(): Registry {
  const byName = new Map<string, TaskRecord>();
  const all: TaskRecord[] = [];
  const subscriptions = new Map<string, Subscription>();
  const projections = new Map<string, AnyDefinition>();
  return {
    add(record) {
      all.push(record);
      byName.set(record.name, record);
    },
    subscribe: (one) => void subscriptions.set(`${one.topic.name} ${one.group}`, one),
    subscriptions: () => [...subscriptions.values()],
    project: (one) => void projections.set(one.name, one),
    projections: () => [...projections.values()],
    get: (name) => byName.get(name),
    tasks: () => [...byName.values()],
    declarations: () => all,
    queues: () => [...new Set(Array.from(byName.values(), ({ queue }) => queue))].sort(),
    assertUnique() {
      for (const [name, records] of Map.groupBy(all, (record) => record.name)) {
        if (records.length === 1) continue;
        throw duplicateTask(
          name,
          Array.from(records, ({ declaredAt }) => declaredAt),
        );
      }
    },
  };
}
