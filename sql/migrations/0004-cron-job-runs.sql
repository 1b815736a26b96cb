-- One row per slot of a schedule that fired, was skipped, or was missed.

create table cron_job_runs (
  id text not null,
  namespace text not null,
  queue text not null,
  schedule text not null,
  task_name text not null,
  run_id uuid,
  scheduled_for timestamptz,
  timezone text,
  scheduled_local text,
  trigger text check (trigger in ('schedule', 'catch_up', 'backfill', 'manual')),
  status text not null check (status in ('waiting', 'running', 'retrying', 'success', 'failure', 'cancelled', 'skipped', 'missed')),
  fired_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  late_ms double precision,
  waited_ms double precision,
  duration_ms double precision,
  attempts integer not null,
  redeliveries integer not null,
  worker text,
  reason text,
  holder text,
  missed_until timestamptz,
  missed_count integer,
  is_missed_count_least boolean,
  error_type text,
  error_message text,
  error_stack text,
  trace_id text,
  primary key (id, namespace)
);

create index cron_job_runs_task on cron_job_runs (task_name, scheduled_for desc nulls last);
create index cron_job_runs_schedule on cron_job_runs (schedule, scheduled_for desc nulls last);
create index cron_job_runs_scheduled on cron_job_runs (scheduled_for desc nulls last);

comment on table cron_job_runs is 'One row per slot that fired, was skipped or was missed; a range of missed slots is one row. Folded from the ledger by the projection cron_job_runs; it can be thrown away and rebuilt.';
comment on column cron_job_runs.id is 'The run''s id; for a slot without a run, "queue/schedule/slot".';
comment on column cron_job_runs.scheduled_for is 'The instant that the schedule named, not when it ran. Of a range of missed slots: the first.';
comment on column cron_job_runs.scheduled_local is 'The same on the clock of the schedule''s time zone.';
comment on column cron_job_runs.status is 'waiting: fired, not started. running. retrying: failed, and will be tried again. success, failure, cancelled, skipped: ended. missed: never fired.';
comment on column cron_job_runs.late_ms is 'From the slot to its firing.';
comment on column cron_job_runs.waited_ms is 'From being due to the latest start.';
comment on column cron_job_runs.duration_ms is 'How long the latest attempt took.';
comment on column cron_job_runs.reason is 'Why it was skipped, missed, cancelled or died.';
comment on column cron_job_runs.holder is 'The run that held the overlap lock when this one was skipped.';
comment on column cron_job_runs.missed_until is 'The last slot of a range of missed ones.';
comment on column cron_job_runs.missed_count is 'How many slots a range of missed ones holds.';
comment on column cron_job_runs.is_missed_count_least is 'True when counting was given up: there were that many or more.';
