-- One row per run.

create table task_runs (
  id uuid primary key,
  namespace text not null,
  queue text not null,
  task_name text not null,
  status text not null check (status in ('scheduled', 'waiting', 'running', 'retrying', 'succeeded', 'died', 'cancelled', 'skipped', 'lost')),
  attempts integer not null,
  redeliveries integer not null,
  deferrals integer not null,
  enqueued_at timestamptz,
  due_at timestamptz,
  expires_at timestamptz,
  started_at timestamptz,
  last_started_at timestamptz,
  ended_at timestamptz,
  cancel_requested_at timestamptz,
  waited_ms double precision,
  duration_ms double precision,
  worker text,
  reason text,
  error_type text,
  error_message text,
  error_stack text,
  error_code text,
  error_fingerprint text,
  key text,
  labels jsonb,
  task_version integer,
  schedule text,
  slot timestamptz,
  trigger text,
  parent text,
  root text,
  redrive_of text,
  redriven_as text,
  trace_id text,
  positions text not null
) with (fillfactor = 60);

create index task_runs_task on task_runs (task_name, enqueued_at desc nulls last);
create index task_runs_enqueued on task_runs (enqueued_at desc nulls last);
create index task_runs_troubled on task_runs (enqueued_at desc nulls last) where reason is not null;

-- No index knows the status, nor anything else that changes when a run goes well, and pages keep room: so its updates stay in their page (HOT)
-- and touch no index. That is a third of the cost of projecting. What ends otherwise has a reason, and is found by it.

comment on table task_runs is 'One row per run, folded from the ledger by the projection task_runs. It can be thrown away and rebuilt.';
comment on column task_runs.status is 'scheduled: due later. waiting: in the queue. running. retrying: failed, and will be tried again. succeeded, died, cancelled, skipped, lost: ended.';
comment on column task_runs.attempts is 'How often the handler was started anew; a hand-over after a crash is no new attempt.';
comment on column task_runs.redeliveries is 'How often the run was handed to another worker because its own was gone.';
comment on column task_runs.deferrals is 'How often the run was put off: unknown task, limit, lock.';
comment on column task_runs.due_at is 'Not before then: the delay, or the next try.';
comment on column task_runs.started_at is 'When its first attempt started.';
comment on column task_runs.last_started_at is 'When its latest attempt or delivery started.';
comment on column task_runs.waited_ms is 'From being due to the latest start.';
comment on column task_runs.duration_ms is 'How long the latest attempt took, on the worker''s monotonic clock.';
comment on column task_runs.reason is 'Why it died, was skipped, cancelled, lost or put off. Every run that has ended without success has one.';
comment on column task_runs.error_message is 'Of the latest failed attempt. Kept when a later attempt succeeds.';
comment on column task_runs.slot is 'The instant that its schedule named.';
comment on column task_runs.positions is 'Where its events are in ledger_entries: a line per lane and incarnation ("queue/incarnation"), followed by entry ids.';
