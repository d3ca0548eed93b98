-- Up Migration

-- Requests that are done later (Prefer: respond-async), by any process. Whoever does one raises `attempt`, and only
-- the highest attempt may write; one that is not heard of for a while is done by another.
create table job (
  id       uuid primary key,
  agent    integer not null,              -- number of the access token used
  created  timestamptz not null default now(),
  state    "char" not null default 'w',   -- w waiting, r running, d done
  method   text not null,
  url      text not null,                 -- path and query
  headers  jsonb not null,                -- those that matter; never Authorization
  size     bigint not null,               -- bytes in job_part: of the body, then of the answer
  attempt  integer not null default 0,
  alive    timestamptz,                   -- when the attempt was last heard of
  mark     "char",                        -- d: all that it writes is committed; b: some of it may be
  answer   jsonb,                         -- of a job that is done: status and headers
  parts    integer,                       -- and the pieces of its body
  expires  timestamptz
);
create index job_open on job (created) where state <> 'd';
create index job_agent on job (agent);
create index job_expires on job (expires) where expires is not null;

-- Bodies in pieces, so that none is in memory as a whole.
create table job_part (
  job     uuid not null references job on delete cascade,
  attempt integer not null,               -- 0: of the request; else of the answer that this attempt gave
  n       integer not null,
  piece   bytea not null,
  primary key (job, attempt, n)
);
alter table job_part alter column piece set storage external;
