-- Up Migration

-- Who was shown what: a row for each read, search, history and refusal, and for each patient in what was shown. Writes are
-- in `change`. Partitions of a month are made ahead (store/audit/partitions.ts), and dropped when they are old enough.
create table access_log (
  tx       bigint not null,          -- as in change: by it the feed of rows is in the order of commits
  n        bigint generated always as identity,
  at       timestamptz not null,
  patient  bigint,                   -- null where it is about nobody in particular
  rid      bigint,                   -- what was read, where that is one resource
  agent    integer not null,         -- number of the access token; 0: there is none
  person   text,                     -- Type/id of who signed in, where there is no token yet
  found    integer not null,         -- resources that were shown
  status   smallint not null,        -- as of HTTP: 200, or why it was refused
  type     smallint,
  action   "char" not null,          -- r read, v vread, s search, h history, e everything, d document, b bytes, g break glass, l sign-in
  purpose  text,                     -- code of v3-PurposeOfUse, where it was not what it usually is
  query    bytea                     -- what was asked for, sealed with a key of its own
) partition by range (at);
create index access_log_at on access_log using brin (at) with (pages_per_range = 16);
create index access_log_patient on access_log (patient, at);
create table access_log_rest partition of access_log default;

create trigger access_log_append_only before update or delete on access_log
  for each row execute function refuse_change();

-- Of writes, too, the trail is asked for by time.
create index change_at on change using brin (at) with (pages_per_range = 16);

-- Seals over both trails: each is a hash over the rows that became visible between two snapshots, and over the seal before.
create table audit_seal (
  n        bigint primary key,
  made     timestamptz not null default now(),
  upto     pg_snapshot not null,
  changes  bigint not null,          -- so many rows of each
  accesses bigint not null,
  hash     bytea not null
);
create trigger audit_seal_append_only before update or delete on audit_seal
  for each statement execute function refuse_change();
