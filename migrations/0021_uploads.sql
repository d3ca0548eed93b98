-- Up Migration

-- Uploads that can be resumed (tus), until they have become a Binary, or for a day.
create table upload (
  id       uuid primary key,
  agent    integer not null,                -- number of the access token that began it: nobody else goes on with it
  created  timestamptz not null default now(),
  size     bigint,                          -- in bytes; null as long as the client does not say
  metadata jsonb not null,
  state    "char" not null default 'o',     -- o open, c being closed, d done
  answer   jsonb                            -- of one that is done: what it has become
);
create index upload_created on upload (created);

-- What has come of it, in the pieces in which it was put away.
create table upload_part (
  upload uuid not null references upload on delete cascade,
  start  bigint not null,
  size   bigint not null,
  blob   uuid not null,
  primary key (upload, start)
);
create index upload_part_blob on upload_part (blob);
