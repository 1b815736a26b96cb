-- Runs whose transaction has committed: written in that very transaction, by tasks with the policy `inbox`.

create table tasktrail_inbox (
  run uuid primary key,
  result text not null,
  done_at timestamptz not null default clock_timestamp()
);

create index tasktrail_inbox_done on tasktrail_inbox using brin (done_at);

comment on table tasktrail_inbox is 'Runs that are done, whatever their queue knows: one that is delivered again is settled with its result, and its handler is not run again. Kept for a week, and until its run has ended.';
comment on column tasktrail_inbox.result is 'JSON of the result; empty for none.';
