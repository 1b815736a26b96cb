import type { Command } from "commander";
import { setPaused } from "../../../streams/subscriptions.ts";
import { type Cli, example } from "../command.ts";
import { isConfirmed } from "../confirm.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { jsonOption } from "../options.ts";
import { connectRedis, type OpenRedis } from "../servers.ts";
import { readSubscriptionViews, redispatch, type SubscriptionView, startId } from "../subscriptions.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { clean } from "../text.ts";
import { counted, lengthWords } from "../words.ts";

interface ReplayOptions {
  readonly from: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** `tasktrail topics [pause|resume|redispatch]`: who subscribes to what, and how far each has come. */
export function topics(command: Command, { terminal }: Cli): void {
  command.action(({ json }: { json?: boolean }) => show(json === true, terminal));
  jsonOption(command);
  example(command, "topics", "topics redispatch user.created welcome --from 2026-01-31T12:00:00Z");
  const pair = (name: string, description: string) =>
    jsonOption(command.command(name).description(description))
      .argument("<topic>", "its name")
      .argument("<group>", "the subscription's group");
  const pausing = (isPaused: boolean) => (topic: string, group: string, options: { json?: boolean }) =>
    pauseOne({ topic, group, isPaused, isJson: options.json === true }, terminal);
  example(
    pair("pause", "Pauses a subscription: its events wait in the topic.").action(pausing(true)),
    "topics pause user.created welcome",
  );
  example(
    pair("resume", "Has a paused subscription go on where it was.").action(pausing(false)),
    "topics resume user.created welcome",
  );
  const again = pair(
    "redispatch",
    "Sets a subscription back, so that it dispatches the events from there on again, each as a new run. Handlers run again: this is no replay of tables.",
  )
    .requiredOption("--from <place>", 'where: "start", an instant such as 2026-01-31T12:00:00Z, or the id of an entry')
    .option("--yes", "does not ask")
    .action((topic: string, group: string, options: ReplayOptions) =>
      redispatchOne({ topic, group, ...options }, terminal),
    );
  example(again, "topics redispatch user.created welcome --from start --yes");
}

async function show(isJson: boolean, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const views = await readSubscriptionViews(server);
  if (isJson) for (const view of views) terminal.json(view);
  else if (views.length === 0)
    terminal.note(
      `Nothing subscribes to a topic in namespace "${server.namespace}" yet: broker.on(topic, task), and a relay or a projector.`,
    );
  else terminal.table(views, columnsFor(terminal));
}

function columnsFor({ style }: Terminal): Column<SubscriptionView>[] {
  return [
    { title: "topic", value: ({ topic }) => topic, least: 8 },
    { title: "group", value: ({ group }) => group, least: 6 },
    { title: "task", value: ({ task }) => task, least: 6 },
    { title: "events", value: ({ length }) => String(length), align: "right" },
    { title: "behind", value: behindWords, align: "right" },
    {
      title: "state",
      value: ({ isPaused }) => (isPaused ? "paused" : "on"),
      style: (cell) => style(cell.startsWith("paused") ? "yellow" : "dim", cell),
    },
    { title: "position", value: ({ position }) => position, least: 6, style: (cell) => style("dim", cell) },
  ];
}

function behindWords({ lag, isLagAtLeast, lagMs }: SubscriptionView): string {
  return lag === 0 ? "0" : `${lag}${isLagAtLeast ? "+" : ""}, ${lengthWords(lagMs)}`;
}

async function oneOf(server: OpenRedis, topic: string, group: string): Promise<SubscriptionView> {
  const views = await readSubscriptionViews(server);
  const found = views.find((view) => view.topic === topic && view.group === group);
  if (found !== undefined) return found;
  const known = views.map((view) => `${view.topic} ${view.group}`).join(", ");
  throw new CliError(EXIT.usage, `Group "${clean(group)}" does not subscribe to topic "${clean(topic)}".`, {
    advice: known === "" ? "Nothing subscribes to a topic yet." : `There are: ${clean(known)}.`,
  });
}

type Pausing = { readonly topic: string; readonly group: string; readonly isPaused: boolean; readonly isJson: boolean };

async function pauseOne({ topic, group, isPaused, isJson }: Pausing, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  await oneOf(server, topic, group);
  await setPaused(server.redis, server.namespace, { topic, group, isPaused });
  if (isJson) return terminal.json({ topic, group, isPaused });
  terminal.note(
    isPaused
      ? `Paused within a second. Resume it: tasktrail topics resume ${topic} ${group}`
      : "It goes on within a second.",
  );
}

async function redispatchOne(
  { topic, group, from, yes, json }: ReplayOptions & { readonly topic: string; readonly group: string },
  terminal: Terminal,
): Promise<void> {
  using server = await connectRedis(terminal.env);
  const view = await oneOf(server, topic, group);
  const after = startId(from);
  const count = await redispatch(server, view, { after, isDry: true });
  const what = `${counted(count, "event")} of ${clean(topic)} as new runs of ${clean(view.task)}`;
  if (count === 0)
    terminal.note(
      `No event lies after that: events are kept for a day, and longer while a subscription has not read them.`,
    );
  else if (await isConfirmed(`${what} would be dispatched, and their handlers run again`, { yes, terminal })) {
    await redispatch(server, view, { after, isDry: false });
    if (json === true) terminal.json({ topic, group, after, count });
    else terminal.note(`Dispatching ${what}.`);
  } else terminal.note("Nothing was done.");
}
