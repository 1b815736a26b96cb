-- Where each life of a lane begins, whether its runs have been repaired, and from where on the history of each lane is kept.

alter table lane_incarnations
  add column after_ms bigint not null default 0,
  add column after_seq bigint not null default 0,
  add column repaired_at timestamptz;

update lane_incarnations set repaired_at = since;

comment on column lane_incarnations.after_ms is 'This life begins after the entry with this id (after_ms-after_seq), which it shares with the lives before; 0-0: it shares nothing.';
comment on column lane_incarnations.repaired_at is 'When what Redis had lost of the lives before was brought back. Null: that is still to be done.';

create table ledger_horizons (
  lane text primary key,
  kept_from_ms bigint not null,
  dropped_at timestamptz not null default now()
);

comment on table ledger_horizons is 'From where on the archive has the whole history of a lane: retention has dropped entries before. A rebuild carries over rows that are older.';
comment on column ledger_horizons.kept_from_ms is 'Milliseconds since 1970. Of before then, only entries of runs that had not ended are left.';

create table ledger_retention (
  namespace text primary key,
  keep_ms bigint not null,
  updated_at timestamptz not null default now()
);

comment on table ledger_retention is 'How long each namespace keeps its archive. One that is not named keeps it for ever; a partition goes once nobody keeps it.';
