-- The trace of what sampling has left out follows from its run, and is written as one character: "0" that of a dispatch, "1" that of an attempt.

create or replace view ledger_events as
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
  case
    when m.event ->> 'traceparent' = '0' then '00000000' || substr(replace(m.event ->> 'run', '-', ''), 9)
    when m.event ->> 'traceparent' = '1' and jsonb_typeof(m.event -> 'attempt') = 'number' and jsonb_typeof(m.event -> 'delivery') = 'number'
      then lpad(to_hex(((m.event ->> 'attempt')::numeric % 65536)::integer), 4, '0')
        || lpad(to_hex(((m.event ->> 'delivery')::numeric % 65536)::integer), 4, '0')
        || substr(replace(m.event ->> 'run', '-', ''), 9)
    else split_part(m.event ->> 'traceparent', '-', 2)
  end as trace_id,
  m.event
from ledger_entries e
cross join lateral json_array_elements(e.events::json) with ordinality as item (value, number)
cross join lateral (
  select coalesce(e.header::jsonb -> 'd', '{}'::jsonb) || item.value::jsonb as event
) m;
