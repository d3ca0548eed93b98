-- Up Migration

-- Resources that were made of a study's instances: Observations of waveforms, Media of key images. They go with the study.
create table dicom_derived (
  study text collate "C" not null references dicom_study on delete cascade,
  rid   bigint not null,
  primary key (study, rid)
);
