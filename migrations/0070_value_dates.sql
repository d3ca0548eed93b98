-- Up Migration

-- What is found from values is put in the order of dates before a row is looked at: the date stands beside them.
alter table value_number add column at timestamptz;
update value_number v set at = coalesce(i.at, '-infinity') from resource_index i where i.rid = v.rid;
alter table value_number alter column at set not null;
drop index value_number_key;
create index value_number_key on value_number (key, unit, low, rid) include (at);
