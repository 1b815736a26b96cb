-- Dispatches and domain events that wait for the relay: written in the transactions that they belong to.

create table tasktrail_outbox (
  id bigint generated always as identity primary key,
  lane text not null,
  item text not null,
  record text not null,
  created_at timestamptz not null default clock_timestamp(),
  batch bigint,
  batched_at timestamptz,
  parked_at timestamptz,
  error text
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

create index tasktrail_outbox_waiting on tasktrail_outbox (lane, id) where batch is null and parked_at is null;
create index tasktrail_outbox_sent on tasktrail_outbox (lane, batch) where batch is not null;
create index tasktrail_outbox_parked on tasktrail_outbox (parked_at) where parked_at is not null;

comment on table tasktrail_outbox is 'What transactions have dispatched and published. A row that can be seen is committed: the relay puts it into a batch, sends that to Redis, and the archive deletes it once it has its events.';
comment on column tasktrail_outbox.id is 'Given at the insert: of two transactions of which one began after the other had committed, the later has the larger ids.';
comment on column tasktrail_outbox.lane is 'namespace:queue for a run, namespace::topics for a domain event.';
comment on column tasktrail_outbox.item is 'The run''s id, or the event''s.';
comment on column tasktrail_outbox.record is 'JSON of what is dispatched or published.';
comment on column tasktrail_outbox.batch is 'The number of the batch that it was sent in; null while it waits.';
comment on column tasktrail_outbox.batched_at is 'When it was put into that batch, or when that was last sent anew.';
comment on column tasktrail_outbox.parked_at is 'Set when it could not be read: error says why, and nothing waits for it. Set it to null to have it tried again.';

create table tasktrail_outbox_lanes (
  lane text primary key,
  owner text not null,
  leased_until timestamptz not null,
  last_batch bigint not null default 0
) with (fillfactor = 50);

comment on table tasktrail_outbox_lanes is 'Which relay writes a lane, until when, and the number of its last batch. Redis keeps the number of the last one that it took, and takes none but the next.';
