-- Up Migration

-- Films that are being made to play in browsers, or cannot be: a row goes when its rendition is there.
create table transcoding (
  blob     uuid primary key references blob on delete cascade,
  asked    timestamptz not null default now(),
  tries    smallint not null default 0,
  alive    timestamptz,               -- when who works on it last said so; null: nobody does
  progress smallint not null default 0,  -- percent
  failed   text                       -- why it cannot be done, for whoever asks for it
);

-- Sound has no edges.
alter table rendition alter column width drop not null, alter column height drop not null;
