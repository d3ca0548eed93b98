-- Up Migration

-- Studies newest first, and how many there are, without their rows.
drop index dicom_study_date;
create index dicom_study_date on dicom_study (date desc nulls last, uid) include (rid);

-- Of what is deleted and not purged yet there is little: what is found leaves it out by its numbers.
create index resource_deleted on resource (type, rid) where deleted;

-- Attributes that have no column, by one of their values.
create index dicom_study_attributes on dicom_study using gin (attributes jsonb_path_ops);
create index dicom_series_attributes on dicom_series using gin (attributes jsonb_path_ops);
