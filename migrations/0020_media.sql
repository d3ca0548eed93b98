-- Up Migration

-- What bytes are, told by themselves when they came in.
alter table blob
  add column sha1  bytea,
  add column kind  text,         -- the media type that they show, where they show one
  add column facts jsonb,        -- width, height, frames, duration, device
  add column idle  timestamptz default now();  -- since when nothing was seen to have them

-- Smaller pictures of bytes, made once; they go with the bytes that they were made of.
create table rendition (
  blob   uuid not null references blob on delete cascade,
  size   text not null,          -- what was asked for: 256, 1024
  made   uuid not null,          -- the bytes
  type   text not null,
  width  integer not null,
  height integer not null,
  primary key (blob, size)
);
create index rendition_made on rendition (made);
