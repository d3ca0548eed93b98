-- Up Migration

-- Large data of attachments, kept as blobs: the content of the resource names them in its place, `"data":"blob:…"`.
create table attachment (
  blob    uuid not null,
  type    smallint not null,       -- of the resource that has it in some version, which may not be written yet
  id      text collate "C" not null,
  media   text,                    -- its contentType
  created timestamptz not null default now(),
  checked boolean not null default false,  -- whether a version was seen to have it
  primary key (blob, type, id)
);
create index attachment_unchecked on attachment (created) where not checked;

-- Equal bytes of one patient become one blob.
create index blob_sha256 on blob (sha256);
