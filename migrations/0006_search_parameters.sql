-- Up Migration

-- Which set of posted SearchParameters resources are indexed by: whatever changes it raises the epoch as well, so that
-- nothing is written by an older set.
alter table epoch add column parameters integer not null default 0;

-- Work on the index rows of all resources of some types, spread over processes. It begins when no transaction is left
-- that may write by an older set of parameters.
create table reindex (
  id       uuid primary key,
  agent    integer not null,                -- number of the access token that asked for it
  created  timestamptz not null default now(),
  types    smallint[] not null,
  made     integer not null,                -- what resource_index.extractor must at least say
  whole    boolean not null,                -- rows that say so are written anew too
  barrier  xid8,                            -- transactions before this one must have ended
  total    bigint,                          -- resources, as it was split into parts
  rounds   smallint not null default 0,     -- parts that had to be done again
  finished timestamptz,
  result   jsonb
);
create index reindex_open on reindex (created) where finished is null;

-- Stretches of resource numbers. A process holds the lock of the row whose stretch it works on, so that nothing is left
-- behind when it dies.
create table reindex_part (
  job    uuid not null references reindex on delete cascade,
  first  bigint not null,
  last   bigint not null,
  at     bigint not null,                   -- up to this number it is done
  done   bigint not null default 0,         -- resources
  counts jsonb,                             -- of a part that is done and was looked over
  primary key (job, first)
);

-- Posted SearchParameters that act. Each definition is a row of its own: the one before it answers until it does.
create table search_parameter (
  number     integer generated always as identity primary key,
  id         text not null,                 -- of the resource
  job        uuid references reindex,       -- that indexes all resources by it; null when it answers
  definition json not null
);
