-- Up Migration

-- DICOM studies, series and instances. Who may see them is said by the study's ImagingStudy, which is written in the same
-- transaction: where it is deleted they are not there, and are purged.
create table dicom_study (
  uid        text collate "C" primary key,
  rid        bigint not null,                -- its ImagingStudy
  revision   integer not null default 1,     -- raised whenever instances come: whoever looked before looks again
  patient_id text not null,                  -- of all its instances; '' where they have none
  issuer     text not null,
  date       text collate "C",               -- YYYYMMDD
  time       text collate "C",               -- as written
  accession  text,
  name       text collate "C",               -- the patient's, folded
  attributes jsonb not null                  -- DICOM JSON of the study's level
);
create index dicom_study_rid on dicom_study (rid);
create index dicom_study_date on dicom_study (date desc nulls last, uid);
create index dicom_study_patient on dicom_study (patient_id);
create index dicom_study_accession on dicom_study (accession) where accession is not null;
create index dicom_study_name on dicom_study (name text_pattern_ops);

create table dicom_series (
  study      text collate "C" not null references dicom_study on delete cascade,
  uid        text collate "C" not null,
  modality   text,
  number     integer,
  attributes jsonb not null,                 -- DICOM JSON of the series' level
  primary key (study, uid)
);
create index dicom_series_modality on dicom_series (modality, study);

create table dicom_instance (
  uid        text collate "C" primary key,
  study      text collate "C" not null,
  series     text collate "C" not null,
  class      text not null,                  -- SOP class
  number     integer,
  syntax     text not null,                  -- transfer syntax, as it is stored
  frames     integer not null,
  blob       uuid not null,                  -- the Part 10 file
  sha256     bytea not null,
  attributes text not null,                  -- DICOM JSON of all of it, with paths for BulkDataURIs
  places     text not null,                  -- where pixels and long values are (src/imaging/layout.ts)
  foreign key (study, series) references dicom_series on delete cascade
);
create index dicom_instance_series on dicom_instance (study, series, number, uid);
create index dicom_instance_blob on dicom_instance (blob);

-- Instances that say to be of a study of another patient, or of a patient that cannot be told: kept for the organization
-- to look at, and shown to nobody else.
create table dicom_held (
  id         uuid primary key,
  at         timestamptz not null default now(),
  agent      integer not null,               -- number of the access token used
  reason     text not null,
  uid        text not null,
  study      text not null,
  blob       uuid not null,
  sha256     bytea not null
);
create unique index dicom_held_same on dicom_held (uid, sha256);
create index dicom_held_blob on dicom_held (blob);
