-- Up Migration

-- What this database knows about itself: the secret of its keys, the hash scheme, the base of its feed.
create table setting (
  name  text primary key,
  value text not null
);

-- Numbers of the resource types, in the frozen alphabetical order of R4.
create table type (
  code smallint primary key,
  name text not null unique
);

-- Numbers of the element paths that references and local urls stand at.
create table path (
  code smallint generated always as identity primary key,
  name text not null unique
);

-- Which bit of resource_index.present is that of a parameter; the code of a posted one is followed by # and its number.
create table parameter (
  type smallint not null,
  code text not null,
  bit  smallint not null,
  primary key (type, code),
  unique (type, bit)
);

-- Resource numbers are taken by the processes in blocks of 1024, so that a write knows its own.
create sequence rid_block;

-- Identity and the current version. version 0: referred to, but never written.
create table resource (
  rid      bigint primary key,
  type     smallint not null,
  deleted  boolean not null default false,
  version  integer not null default 0,
  updated  timestamptz,
  id       text collate "C" not null,
  blob     uuid,  -- where the bytes of a Binary are
  security text,  -- meta.security as JSON: labels are sticky (R4 resource.html#Meta)
  content  text,  -- the resource's JSON but for id, versionId and lastUpdated; null where deleted
  unique (type, id)
);
create index resource_blob on resource (blob) where blob is not null;
create index resource_updated on resource (type, updated, rid) where version > 0 and not deleted;
-- Compression costs more than it saves on a few KB, and a large resource is read whole.
alter table resource alter content set storage external;

-- Past versions, and every deletion. They keep the keys by which access to them is judged.
create table version (
  rid        bigint not null,
  version    integer not null,
  type       smallint not null,
  deleted    boolean not null,
  updated    timestamptz not null,
  superseded timestamptz not null,  -- when the next version came; infinity where none has
  patients   bigint[],
  blob       uuid,
  keys       bigint[],
  content    text,
  primary key (rid, version)
);
alter table version alter content set storage external;
create index version_blob on version (blob) where blob is not null;
create index version_history on version (type, updated, rid, version);

-- The narrow index row of a current, undeleted resource. It is written only when what it says changes, as each
-- new version of it costs an entry in the GIN index for each key: lastUpdated is therefore not in it.
create table resource_index (
  rid       bigint primary key,
  extractor integer not null,   -- what made this row and its kin: version of the extractors, then of what was posted
  type      smallint not null,
  timeline  smallint not null,  -- the first so many keys have timeline rows
  at        timestamptz,        -- clinical date, as the range [at, until)
  until     timestamptz,
  patients  bigint[] not null,  -- of the parameter `patient`; of a Patient itself; the first leads
  keys      bigint[] not null,  -- hashes of (type, parameter, value); numbers of targets that no parameter finds
  targets   bigint[] not null,  -- edges: the resources referred to, and at which paths
  paths     smallint[] not null,
  present   varbit not null,    -- parameters that it has a value for, by their bits
  tables    smallint not null   -- where it has value rows: 1 value_number, 2 value_string, 4 value_date
);
-- New keys wait in a short list and go into the index sorted; searches read the list, which at this size they do not feel.
create index resource_index_keys on resource_index using gin (keys) with (fastupdate = on, gin_pending_list_limit = 128);

-- Newest-first walks: one row for the type and each code and category, for each patient concerned (0: none).
-- The row of the first patient leads: walks over all patients see each resource once.
create table timeline (
  key     bigint not null,
  patient bigint not null,
  at      timestamptz not null,  -- -infinity where the resource has no clinical date
  rid     bigint not null,
  lead    boolean not null
);
create index timeline_key on timeline (key, at, rid) include (patient) where lead;
-- Few resources are about several patients.
create index timeline_more on timeline (key, patient) where not lead;
create index timeline_patient on timeline (patient, key, at, rid);

-- Which timeline keys a code has under any system, and a system under any code: a search by one of them alone
-- walks these. It only grows.
create table code_key (
  code bigint not null,  -- hash of (type, parameter, code) or (type, parameter, system)
  key  bigint not null,  -- hash of (type, parameter, system, code)
  primary key (code, key)
);

-- The units that quantities are in, by what searches call them; it only grows.
create table unit_name (
  name bigint not null,  -- hash of its system, of both system and code, of its code or human unit, of its dimension
  unit bigint not null,  -- hash of all that is said of it
  code text,             -- the code of UCUM that a dimension's values are converted to
  primary key (name, unit)
);

create table value_number (  -- numbers and quantities
  rid  bigint not null,
  key  bigint not null,
  unit bigint,               -- hash of the unit of a quantity
  low  double precision not null,
  high double precision not null
);
create index value_number_rid on value_number (rid);
-- Values that are asked for without a unit skip from one unit to the next.
create index value_number_key on value_number (key, unit, low, rid);
-- What reaches above its low end: the rest is found by that.
create index value_number_range on value_number (key, high) where low < high;

create table value_string (  -- strings, normalised, and uris
  rid   bigint not null,
  key   bigint not null,
  value text collate "C" not null,  -- its beginning, where it is long
  whole text collate "C"            -- as it is written; null where that is the value
);
create index value_string_rid on value_string (rid);
create index value_string_key on value_string (key, value, rid);

create table value_date (    -- dates other than the clinical date
  rid  bigint not null,
  key  bigint not null,
  low  timestamptz not null,
  high timestamptz not null
);
create index value_date_rid on value_date (rid);
create index value_date_key on value_date (key, low, rid);

-- Who wrote what, when: one row for each version, in the writer's transaction. It is the change feed and the
-- audit trail of writes in one. tx is the writing transaction's number, so that a reader's position is a
-- snapshot: it reads what became visible since, whatever the order of commits.
create table change (
  tx          bigint not null,
  rid         bigint not null,
  at          timestamptz not null,
  patients    bigint[] not null,  -- whom it was about; of a deletion, whom the version before was about
  version     integer not null,
  agent       integer not null,   -- number of the access token used; 0: the command line
  type        smallint not null,
  interaction "char" not null,    -- c create, u update, d delete
  primary key (tx, rid, version)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are never changed or deleted', tg_table_name;
end $$;
create trigger change_append_only before update or delete on change
  for each statement execute function refuse_change();

-- Access tokens: opaque to clients, hashed here.
create table token (
  number  integer generated always as identity primary key,
  hash    bytea not null unique,
  scope   text not null,
  client  text not null,
  created timestamptz not null default now(),
  expires timestamptz not null
);

-- Raised whenever something that decides about access changes: cached decisions hold for one epoch.
create table epoch (value bigint not null);
insert into epoch values (1);

-- Bytes of Binaries; the blob store holds them under their name.
create table blob (
  name    uuid primary key,
  size    bigint not null,
  sha256  bytea not null,
  created timestamptz not null default now()
);

-- A Binary has one owner, by its securityContext or the first resource that claims it.
create table binary_owner (
  rid   bigint primary key,
  owner bigint not null
);

-- Rows come in far more often than they change: without this, index-only scans find a stale visibility map.
alter table timeline set (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
alter table resource_index set (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05);
