-- The archive may be bounded by its size, too.

alter table ledger_retention
  alter column keep_ms drop not null,
  add column keep_bytes bigint;

comment on table ledger_retention is 'How long, and within what size, each namespace keeps its archive. One that is not named keeps it for ever; a partition goes once nobody keeps it.';
comment on column ledger_retention.keep_ms is 'Days that are older go. Null: none for their age.';
comment on column ledger_retention.keep_bytes is 'The oldest days go until what is left of the archive, of all namespaces, is no larger. Null: any size.';
