-- Up Migration

-- Changes go through this function: many resources in one statement, one round trip. Rows that belong to a
-- resource come as parallel arrays; ragged ones (keys, targets) as one flat array and, for each
-- resource, where its slice ends.

-- With REFERENCES=check: every target stands, and goes on standing until this transaction ends.
create function check_targets(p_targets bigint[]) returns void language plpgsql as $$
declare
  missing bigint;
begin
  perform 1 from resource where rid = any (p_targets) order by rid for share;
  select rid into missing from resource where rid = any (p_targets) and (version = 0 or deleted) limit 1;
  if missing is not null then
    raise exception 'dangling' using errcode = 'CN001', detail = missing::text;
  end if;
end $$;

-- Updates, revives, creates under a client's id (all: a new content) and deletes (content null) resources
-- that have a row in resource, each at most once. An entry is done or not for itself:
--   status d  done: version and stamp are the new ones
--          m  the current version is not the expected one: version is the current one
--          s  a security label would be lost: labels is what the resource has; nothing written
--          g  there is nothing to delete
create function change_resources(
  p_epoch bigint, p_base bigint, p_extractor smallint, p_check boolean,
  p_expected integer[], -- the version it must have; null: any
  p_labels text[],      -- the labels that may be replaced by p_security, as the caller read them
  p_rid bigint[], p_type smallint[], p_content text[], p_security text[], p_blob uuid[],
  p_agent integer[], p_patients bigint[], p_patients_end integer[], p_at timestamptz[], p_until timestamptz[], p_timeline smallint[], p_tables smallint[],
  p_keys bigint[], p_keys_end integer[], p_targets bigint[], p_paths smallint[], p_targets_end integer[],
  tl_rid bigint[], tl_key bigint[], tl_patient bigint[], tl_at timestamptz[], tl_lead boolean[],
  num_rid bigint[], num_key bigint[], num_unit bigint[], num_low double precision[], num_high double precision[],
  str_rid bigint[], str_key bigint[], str_value text[],
  dat_rid bigint[], dat_key bigint[], dat_low timestamptz[], dat_high timestamptz[],
  own_rid bigint[], own_owner bigint[]
) returns table (o_status "char", o_version integer, o_updated timestamptz, o_existed boolean, o_labels text)
language plpgsql
as $$
#variable_conflict use_column
declare
  tx bigint := pg_current_xact_id()::text::bigint + p_base;
  stamp timestamptz;
  statuses "char"[]; versions integer[]; stamps timestamptz[]; existed boolean[]; labels text[];
  done bigint[];       -- what is written
  deletes boolean;     -- whether some of it is deleted
  revives boolean;     -- whether some of it was deleted before
  moved bigint[];      -- of these, whose timeline rows change
  tables smallint;     -- in which value tables they have rows now
begin
  -- The caller's idea of who may do what is of an older epoch: nothing is written, it looks again.
  if (select value from epoch) <> p_epoch then
    raise exception 'stale epoch' using errcode = 'CN002';
  end if;
  -- In the order of numbers, as all writers lock, so that no two wait for each other. The time is taken after the
  -- wait: a version is never older than the one before.
  perform 1 from resource where rid = any (p_rid) order by rid for no key update;
  stamp := date_trunc('milliseconds', clock_timestamp());

  select array_agg(j.status order by j.n),
         array_agg(case when j.status = 'd' then j.version + 1 else j.version end order by j.n),
         array_agg(greatest(stamp, j.updated) order by j.n),
         array_agg(j.version > 0 and not j.deleted order by j.n),
         array_agg(j.security order by j.n),
         array_agg(j.rid) filter (where j.status = 'd'),
         bool_or(j.removes) filter (where j.status = 'd'),
         bool_or(j.deleted) filter (where j.status = 'd')
    into statuses, versions, stamps, existed, labels, done, deletes, revives
    from (
      select e.n, r.rid, r.version, r.updated, r.deleted, r.security, e.content is null as removes,
        (case when e.expected is not null and (e.expected <> r.version or r.deleted) then 'm'
              when e.content is null and (r.version = 0 or r.deleted) then 'g'
              when e.content is not null and not r.deleted and r.security is not null
                and r.security is distinct from e.security and r.security is distinct from e.labels then 's'
              else 'd' end)::"char" as status
      from unnest(p_rid, p_expected, p_content, p_security, p_labels)
        with ordinality e (rid, expected, content, security, labels, n)
      join resource r on r.rid = e.rid
    ) j;

  if done is not null then
    insert into version (rid, version, type, deleted, updated, superseded, patients, blob, keys, content)
      select r.rid, r.version, r.type, false, r.updated, greatest(stamp, r.updated), i.patients, r.blob, i.keys, r.content
      from resource r left join resource_index i on i.rid = r.rid
      where r.rid = any (done) and r.version > 0 and not r.deleted;
    if revives then
      update version v set superseded = greatest(stamp, r.updated)
        from resource r
        where r.rid = any (done) and r.deleted and v.rid = r.rid and v.version = r.version;
    end if;
    if deletes then
      insert into version (rid, version, type, deleted, updated, superseded, patients, keys)
        select r.rid, r.version + 1, r.type, true, greatest(stamp, r.updated), 'infinity', i.patients, i.keys
        from unnest(p_rid, p_content) e (rid, content)
        join resource r on r.rid = e.rid
        left join resource_index i on i.rid = r.rid
        where e.content is null and e.rid = any (done);
    end if;

    insert into change (tx, rid, at, patients, version, agent, type, interaction)
      select tx, r.rid, greatest(stamp, r.updated),
        case when e.content is null then coalesce(i.patients, '{}')
             else p_patients[coalesce(p_patients_end[e.n - 1], 0) + 1 : e.patients_end] end,
        r.version + 1, e.agent, r.type,
        case when e.content is null then 'd' when r.version = 0 or r.deleted then 'c' else 'u' end::"char"
      from unnest(p_rid, p_content, p_patients_end, p_agent) with ordinality e (rid, content, patients_end, agent, n)
      join resource r on r.rid = e.rid
      left join resource_index i on i.rid = r.rid
      where e.rid = any (done);

    select coalesce(bit_or(i.tables), 0),
           array_agg(e.rid) filter (where i.rid is null or e.content is null
             or i.timeline <> e.timeline or i.at is distinct from e.at
             or i.patients <> p_patients[coalesce(p_patients_end[e.n - 1], 0) + 1 : e.patients_end]
             or i.keys[1 : i.timeline] <>
                p_keys[coalesce(p_keys_end[e.n - 1], 0) + 1 : coalesce(p_keys_end[e.n - 1], 0) + e.timeline])
      into tables, moved
      from unnest(p_rid, p_content, p_timeline, p_patients_end, p_at, p_keys_end)
        with ordinality e (rid, content, timeline, patients_end, at, keys_end, n)
      left join resource_index i on i.rid = e.rid
      where e.rid = any (done);
    if moved is not null then
      delete from timeline t
        using (
          select i.rid, coalesce(i.at, '-infinity') as at, k.key, p.patient
          from resource_index i
          cross join unnest(i.keys[1 : i.timeline]) k (key)
          cross join unnest(case when i.patients = '{}' then '{0}' else i.patients end) p (patient)
          where i.rid = any (moved)
        ) old
        where t.patient = old.patient and t.key = old.key and t.at = old.at and t.rid = old.rid;
      insert into timeline (rid, key, patient, at, lead)
        select * from unnest(tl_rid, tl_key, tl_patient, tl_at, tl_lead) e (rid, key, patient, at, lead)
        where e.rid = any (moved);
    end if;

    -- Of value rows only those that differ are taken away and put in.
    if tables & 1 > 0 then
      delete from value_number v
        where v.rid = any (done) and not exists (
          select from unnest(num_rid, num_key, num_unit, num_low, num_high) e (rid, key, unit, low, high)
          where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high);
    end if;
    if cardinality(num_rid) > 0 then
      insert into value_number (rid, key, unit, low, high)
        select * from unnest(num_rid, num_key, num_unit, num_low, num_high) e (rid, key, unit, low, high)
        where e.rid = any (done) and not exists (
          select from value_number v
          where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high);
    end if;
    if tables & 2 > 0 then
      delete from value_string v
        where v.rid = any (done) and not exists (
          select from unnest(str_rid, str_key, str_value) e (rid, key, value)
          where e.rid = v.rid and e.key = v.key and e.value = v.value);
    end if;
    if cardinality(str_rid) > 0 then
      insert into value_string (rid, key, value)
        select * from unnest(str_rid, str_key, str_value) e (rid, key, value)
        where e.rid = any (done) and not exists (
          select from value_string v where e.rid = v.rid and e.key = v.key and e.value = v.value);
    end if;
    if tables & 4 > 0 then
      delete from value_date v
        where v.rid = any (done) and not exists (
          select from unnest(dat_rid, dat_key, dat_low, dat_high) e (rid, key, low, high)
          where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high);
    end if;
    if cardinality(dat_rid) > 0 then
      insert into value_date (rid, key, low, high)
        select * from unnest(dat_rid, dat_key, dat_low, dat_high) e (rid, key, low, high)
        where e.rid = any (done) and not exists (
          select from value_date v where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high);
    end if;

    if deletes then
      delete from resource_index i using unnest(p_rid, p_content) e (rid, content)
        where i.rid = e.rid and e.content is null and e.rid = any (done);
    end if;
    insert into resource_index as i (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths)
      select e.rid, e.type, p_extractor, e.timeline, e.tables, e.at, e.until,
        p_patients[coalesce(p_patients_end[e.n - 1], 0) + 1 : e.patients_end],
        p_keys[coalesce(p_keys_end[e.n - 1], 0) + 1 : e.keys_end],
        p_targets[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end],
        p_paths[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end]
      from unnest(p_rid, p_type, p_content, p_timeline, p_tables, p_patients_end, p_at, p_until, p_keys_end, p_targets_end)
        with ordinality e (rid, type, content, timeline, tables, patients_end, at, until, keys_end, targets_end, n)
      where e.content is not null and e.rid = any (done)
      on conflict (rid) do update set
        extractor = excluded.extractor, timeline = excluded.timeline, tables = excluded.tables,
        at = excluded.at, until = excluded.until, patients = excluded.patients,
        keys = excluded.keys, targets = excluded.targets, paths = excluded.paths
      where (i.extractor, i.timeline, i.tables, i.at, i.until, i.patients, i.keys, i.targets, i.paths)
        is distinct from (excluded.extractor, excluded.timeline, excluded.tables, excluded.at, excluded.until,
          excluded.patients, excluded.keys, excluded.targets, excluded.paths);

    update resource r set
        version = r.version + 1, updated = greatest(stamp, r.updated), deleted = e.content is null,
        content = e.content, security = e.security, blob = e.blob
      from unnest(p_rid, p_content, p_security, p_blob) e (rid, content, security, blob)
      where r.rid = e.rid and e.rid = any (done);
    if cardinality(own_rid) > 0 then
      insert into binary_owner (rid, owner)
        select * from unnest(own_rid, own_owner) e (rid, owner)
        on conflict do nothing;
    end if;
    if p_check then
      perform check_targets(p_targets);
    end if;
  end if;

  return query select * from unnest(statuses, versions, stamps, existed, labels);
end $$;
