-- Up Migration

-- Who was shown what: a row for each read, search, history and refusal, and for each patient in what was shown; who signed in
-- and was let in. Writes are in `change`. Each read costs a row and an entry by patient: what else there is finds rows by
-- blocks. Partitions of a month are made ahead (store/audit/partitions.ts), and dropped when they are old enough.
create table access_log (
  tx       bigint not null,          -- as in change: by it the feed of rows is in the order of commits
  at       timestamptz not null,
  patient  bigint,                   -- null where it is about nobody in particular
  rid      bigint,                   -- what was read, where that is one resource
  agent    integer,                  -- number of the access token; null where there is none, as of who signs in
  found    integer not null,         -- resources that were shown
  n        integer not null,         -- which row of its transaction
  status   smallint not null,        -- as of HTTP: 200, or why it was refused
  type     smallint,
  action   "char" not null,          -- store/audit/log.ts
  purpose  text,                     -- code of v3-PurposeOfUse, where it was not what it usually is
  origin   text,                     -- id of the request and the address that it came from, apart by a space
  query    bytea,                    -- what was asked for, sealed with a key of its own; null where type and rid say it
  client   text,                     -- where there is no token: through which client
  person   text                      -- and who, as Type/id
) partition by range (at);
create index access_log_order on access_log using brin (tx, at) with (pages_per_range = 16, autosummarize = on);
create index access_log_patient on access_log (patient, at) where patient is not null;
create table access_log_rest partition of access_log default;

create trigger access_log_append_only before update or delete on access_log
  for each row execute function refuse_change();

-- By which request each version came: what one request has written is one Provenance.
alter table change add column origin text;
-- Of writes, too, the trail is asked for by time.
create index change_at on change using brin (at) with (pages_per_range = 16, autosummarize = on);

-- Seals over both trails: each is a hash over the rows that became visible between two snapshots, and over the seal before.
create table audit_seal (
  n        bigint primary key,
  made     timestamptz not null default now(),
  base     bigint not null,          -- of the feed, when it was made
  upto     pg_snapshot not null,
  parts    jsonb not null,           -- rows and hash of the changes, and of the accesses of each month, which are dropped by months
  hash     bytea not null
);
create trigger audit_seal_append_only before update or delete on audit_seal
  for each statement execute function refuse_change();
