-- How far each projection has read, and the keys that it had to set aside.

create table projection_checkpoints (
  lane text not null,
  projection text not null,
  incarnation text not null,
  ms bigint not null,
  seq bigint not null,
  token text not null,
  epoch integer not null default 0,
  entries_applied bigint not null default 0,
  events_applied bigint not null default 0,
  unknown_events bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (lane, projection)
) with (fillfactor = 50);

comment on table projection_checkpoints is 'The last entry of a lane that is in the tables. Moved in the same transaction as the rows, by compare-and-set: that is what makes projection exactly-once.';
comment on column projection_checkpoints.token is 'The batch token of that entry. Another one at the same id means that history is no longer the one we read.';
comment on column projection_checkpoints.epoch is 'Raised by whatever else writes projected rows, so that a projector which has read older ones cannot commit.';

create table lane_incarnations (
  lane text not null,
  number integer not null,
  incarnation text not null,
  since timestamptz not null default now(),
  primary key (lane, number),
  unique (lane, incarnation)
);

comment on table lane_incarnations is 'The lives of each lane in their order: entries of number 2 come after those of number 1.';

create table projection_parked (
  namespace text not null,
  projection text not null,
  key text not null,
  lane text not null,
  position text not null,
  event_type text not null,
  error_type text not null,
  error_message text not null,
  error_stack text,
  parked_at timestamptz not null default now(),
  primary key (projection, key, namespace)
);

comment on table projection_parked is 'Keys whose event a fold could not take. Their rows stand still from that event on; everything else goes on.';
comment on column projection_parked.position is 'queue/incarnation/ms-seq/index of the event.';
