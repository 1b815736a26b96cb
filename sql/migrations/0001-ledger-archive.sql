-- The ledger's archive: every ledger entry as the record batch it is, one row each.

create table ledger_entries (
  lane text not null,
  incarnation text not null,
  ms bigint not null,
  seq bigint not null,
  event_count integer not null,
  header text not null,
  events text not null,
  raw text,
  primary key (lane, incarnation, ms, seq)
) partition by range (ms);

comment on table ledger_entries is 'Every entry of the ledger, for ever: one row per record batch, as it stood in Redis. Read it through the view ledger_events.';
comment on column ledger_entries.lane is 'namespace:queue';
comment on column ledger_entries.incarnation is 'Which life of the lane: another one after Redis lost or rewrote its history.';
comment on column ledger_entries.ms is 'First half of the entry''s id: milliseconds since 1970 on Redis'' clock.';
comment on column ledger_entries.seq is 'Second half of the entry''s id.';
comment on column ledger_entries.event_count is 'How many events the batch says it has.';
comment on column ledger_entries.header is 'JSON: format, batch token (p, c), codec, and what every event has unless it says otherwise (d).';
comment on column ledger_entries.events is 'A JSON array of the events.';
comment on column ledger_entries.raw is 'Set when the entry could not be read, or holds what jsonb refuses: the whole entry as a JSON string. header and events then stand in for it.';

-- lz4 is quicker than pglz by far; a server that was built without it keeps pglz.
do $$
begin
  execute 'alter table ledger_entries alter column events set compression lz4';
exception when others then
  raise notice 'no lz4 here: the archive is compressed with pglz';
end
$$;

create table ledger_entries_default partition of ledger_entries default;

comment on table ledger_entries_default is 'Takes entries of days that have no partition of their own.';

create view ledger_events as
select
  e.lane,
  split_part(e.lane, ':', 1) as namespace,
  coalesce(m.event ->> 'queue', split_part(e.lane, ':', 2)) as queue,
  e.incarnation,
  e.ms,
  e.seq,
  (item.number - 1)::integer as index,
  split_part(e.lane, ':', 2) || '/' || e.incarnation || '/' || e.ms || '-' || e.seq || '/' || (item.number - 1) as position,
  case when jsonb_typeof(m.event -> 'at') = 'number' then to_timestamp((m.event ->> 'at')::double precision / 1000) end as at,
  m.event ->> 'type' as type,
  m.event ->> 'run' as run,
  m.event ->> 'task' as task,
  case when jsonb_typeof(m.event -> 'attempt') = 'number' then (m.event ->> 'attempt')::numeric::integer end as attempt,
  m.event ->> 'worker' as worker,
  split_part(m.event ->> 'traceparent', '-', 2) as trace_id,
  m.event
from ledger_entries e
cross join lateral json_array_elements(e.events::json) with ordinality as item (value, number)
cross join lateral (
  select coalesce(e.header::jsonb -> 'd', '{}'::jsonb) || item.value::jsonb as event
) m;

comment on view ledger_events is 'The archived ledger, one row per event, each with what its batch''s header says for all of them.';
