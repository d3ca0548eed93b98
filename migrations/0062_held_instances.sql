-- Up Migration

-- Whom a file says to be about, for whoever decides whose it is; {} of what came in before.
alter table dicom_held add column attributes jsonb not null default '{}';
create index dicom_held_study on dicom_held (study);
