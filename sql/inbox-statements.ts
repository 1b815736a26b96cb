// The inbox's statements, for the session of a handler, whatever its driver.

/** Notes that a run is done, with its result: no row comes back when it was done already. */
export const insertDone = `
  insert into tasktrail_inbox (run, result) values (cast($1 as text)::uuid, cast($2 as text))
  on conflict (run) do nothing returning cast(run as text) as run`;

/** The result of a run that is done. */
export const findDone = "select result from tasktrail_inbox where run = cast($1 as text)::uuid";
