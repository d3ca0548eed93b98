-- Up Migration

-- What an access token has sent, for BYTES_QUOTA.
alter table blob add column agent integer not null default 0;  -- its number; 0: none, as of what was made here
create index blob_agent on blob (agent);
