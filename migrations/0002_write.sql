-- Up Migration

-- All writes go through these functions: many resources in one statement, one round trip. Rows that belong
-- to a resource come as parallel arrays; ragged ones (keys, targets) as one flat array and, for each
-- resource, where its slice ends.

-- The index rows of new resources.
create function insert_index_rows(
  tl_rid bigint[], tl_key bigint[], tl_patient bigint[], tl_at timestamptz[], tl_lead boolean[],
  num_rid bigint[], num_key bigint[], num_unit bigint[], num_low double precision[], num_high double precision[],
  str_rid bigint[], str_key bigint[], str_value text[],
  dat_rid bigint[], dat_key bigint[], dat_low timestamptz[], dat_high timestamptz[]
) returns void language plpgsql as $$
begin
  insert into timeline (rid, key, patient, at, lead)
    select * from unnest(tl_rid, tl_key, tl_patient, tl_at, tl_lead);
  if cardinality(num_rid) > 0 then
    insert into value_number (rid, key, unit, low, high)
      select * from unnest(num_rid, num_key, num_unit, num_low, num_high);
  end if;
  if cardinality(str_rid) > 0 then
    insert into value_string (rid, key, value)
      select * from unnest(str_rid, str_key, str_value);
  end if;
  if cardinality(dat_rid) > 0 then
    insert into value_date (rid, key, low, high)
      select * from unnest(dat_rid, dat_key, dat_low, dat_high);
  end if;
end $$;

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

-- The caller's idea of who may do what is of an older epoch: nothing is written, it looks again.
create function check_epoch(p_epoch bigint) returns void language plpgsql as $$
begin
  if (select value from epoch) <> p_epoch then
    raise exception 'stale epoch' using errcode = 'CN002';
  end if;
end $$;

-- Creates resources whose numbers and ids are new. Returns when: lastUpdated of all of them.
create function create_resources(
  p_epoch bigint, p_base bigint, p_extractor smallint, p_check boolean,
  p_rid bigint[], p_type smallint[], p_id text[], p_content text[], p_security text[], p_blob uuid[],
  p_agent integer[], p_patient bigint[], p_at timestamptz[], p_until timestamptz[], p_timeline smallint[],
  p_keys bigint[], p_keys_end integer[], p_targets bigint[], p_paths smallint[], p_targets_end integer[],
  tl_rid bigint[], tl_key bigint[], tl_patient bigint[], tl_at timestamptz[], tl_lead boolean[],
  num_rid bigint[], num_key bigint[], num_unit bigint[], num_low double precision[], num_high double precision[],
  str_rid bigint[], str_key bigint[], str_value text[],
  dat_rid bigint[], dat_key bigint[], dat_low timestamptz[], dat_high timestamptz[],
  own_rid bigint[], own_owner bigint[]
) returns timestamptz language plpgsql as $$
declare
  stamp timestamptz := date_trunc('milliseconds', clock_timestamp());
  tx bigint := pg_current_xact_id()::text::bigint + p_base;
begin
  perform check_epoch(p_epoch);
  insert into resource (rid, type, id, version, updated, content, security, blob)
    select e.rid, e.type, e.id, 1, stamp, e.content, e.security, e.blob
    from unnest(p_rid, p_type, p_id, p_content, p_security, p_blob) e (rid, type, id, content, security, blob);
  insert into resource_index (rid, type, extractor, timeline, updated, patient, at, until, keys, targets, paths)
    select e.rid, e.type, p_extractor, e.timeline, stamp, e.patient, e.at, e.until,
      p_keys[coalesce(p_keys_end[e.n - 1], 0) + 1 : e.keys_end],
      p_targets[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end],
      p_paths[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end]
    from unnest(p_rid, p_type, p_timeline, p_patient, p_at, p_until, p_keys_end, p_targets_end)
      with ordinality e (rid, type, timeline, patient, at, until, keys_end, targets_end, n);
  perform insert_index_rows(tl_rid, tl_key, tl_patient, tl_at, tl_lead, num_rid, num_key, num_unit, num_low, num_high,
    str_rid, str_key, str_value, dat_rid, dat_key, dat_low, dat_high);
  insert into change (tx, rid, version, type, interaction)
    select tx, e.rid, 1, e.type, 'c' from unnest(p_rid, p_type) e (rid, type);
  insert into audit (at, tx, rid, patient, version, agent, type, interaction)
    select stamp, tx, e.rid, e.patient, 1, e.agent, e.type, 'c'
    from unnest(p_rid, p_patient, p_agent, p_type) e (rid, patient, agent, type);
  if cardinality(own_rid) > 0 then
    insert into binary_owner (rid, owner) select * from unnest(own_rid, own_owner) on conflict do nothing;
  end if;
  if p_check then
    perform check_targets(p_targets);
  end if;
  return stamp;
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
  p_agent integer[], p_patient bigint[], p_at timestamptz[], p_until timestamptz[], p_timeline smallint[],
  p_keys bigint[], p_keys_end integer[], p_targets bigint[], p_paths smallint[], p_targets_end integer[],
  tl_rid bigint[], tl_key bigint[], tl_patient bigint[], tl_at timestamptz[], tl_lead boolean[],
  num_rid bigint[], num_key bigint[], num_unit bigint[], num_low double precision[], num_high double precision[],
  str_rid bigint[], str_key bigint[], str_value text[],
  dat_rid bigint[], dat_key bigint[], dat_low timestamptz[], dat_high timestamptz[],
  own_rid bigint[], own_owner bigint[]
) returns table (o_status "char", o_version integer, o_updated timestamptz, o_existed boolean, o_labels text)
language plpgsql as $$
#variable_conflict use_column
declare
  tx bigint := pg_current_xact_id()::text::bigint + p_base;
  stamp timestamptz;
  statuses "char"[]; versions integer[]; stamps timestamptz[]; existed boolean[]; labels text[];
  done bigint[];      -- what is written
  same bigint[];      -- of these, whose timeline rows stay as they are
begin
  perform check_epoch(p_epoch);
  perform 1 from resource where rid = any (p_rid) order by rid for no key update;
  stamp := date_trunc('milliseconds', clock_timestamp());

  select array_agg(j.status order by j.n),
         array_agg(case when j.status = 'd' then j.version + 1 else j.version end order by j.n),
         array_agg(greatest(stamp, j.updated) order by j.n),
         array_agg(j.version > 0 and not j.deleted order by j.n),
         array_agg(j.security order by j.n),
         array_agg(j.rid) filter (where j.status = 'd')
    into statuses, versions, stamps, existed, labels, done
    from (
      select e.n, r.rid, r.version, r.updated, r.deleted, r.security,
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
    insert into version (rid, version, type, deleted, updated, superseded, patient, blob, keys, content)
      select r.rid, r.version, r.type, false, r.updated, greatest(stamp, r.updated), i.patient, r.blob, i.keys, r.content
      from resource r left join resource_index i on i.rid = r.rid
      where r.rid = any (done) and r.version > 0 and not r.deleted;
    update version v set superseded = greatest(stamp, r.updated)
      from resource r
      where r.rid = any (done) and r.deleted and v.rid = r.rid and v.version = r.version;
    insert into version (rid, version, type, deleted, updated, superseded, patient, keys)
      select r.rid, r.version + 1, r.type, true, greatest(stamp, r.updated), 'infinity', i.patient, i.keys
      from unnest(p_rid, p_content) e (rid, content)
      join resource r on r.rid = e.rid
      left join resource_index i on i.rid = r.rid
      where e.content is null and e.rid = any (done);

    insert into change (tx, rid, version, type, interaction)
      select tx, r.rid, r.version + 1, r.type,
        case when e.content is null then 'd' when r.version = 0 or r.deleted then 'c' else 'u' end::"char"
      from unnest(p_rid, p_content) e (rid, content) join resource r on r.rid = e.rid
      where e.rid = any (done);
    -- A deletion is audited for the patient whom the resource was about.
    insert into audit (at, tx, rid, patient, version, agent, type, interaction)
      select greatest(stamp, r.updated), tx, r.rid, coalesce(e.patient, i.patient), r.version + 1, e.agent, r.type,
        case when e.content is null then 'd' when r.version = 0 or r.deleted then 'c' else 'u' end::"char"
      from unnest(p_rid, p_content, p_patient, p_agent) e (rid, content, patient, agent)
      join resource r on r.rid = e.rid
      left join resource_index i on i.rid = r.rid
      where e.rid = any (done);

    select array_agg(i.rid) into same
      from unnest(p_rid, p_content, p_timeline, p_patient, p_at, p_until, p_keys_end, p_targets_end)
        with ordinality e (rid, content, timeline, patient, at, until, keys_end, targets_end, n)
      join resource_index i on i.rid = e.rid
      where e.rid = any (done) and e.content is not null
        and i.timeline = e.timeline and i.at is not distinct from e.at and i.patient is not distinct from e.patient
        and i.keys[1 : i.timeline] = p_keys[coalesce(p_keys_end[e.n - 1], 0) + 1 : coalesce(p_keys_end[e.n - 1], 0) + e.timeline]
        and i.targets = p_targets[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end];
    delete from timeline t
      using (
        select i.rid, coalesce(i.at, '-infinity') as at, unnest(i.keys[1 : i.timeline]) as key
        from resource_index i
        where i.rid = any (done) and (same is null or i.rid <> all (same))
      ) old
      where t.key = old.key and t.at = old.at and t.rid = old.rid;
    insert into timeline (rid, key, patient, at, lead)
      select * from unnest(tl_rid, tl_key, tl_patient, tl_at, tl_lead) e (rid, key, patient, at, lead)
      where e.rid = any (done) and (same is null or e.rid <> all (same));

    delete from value_number v
      where v.rid = any (done) and not exists (
        select from unnest(num_rid, num_key, num_unit, num_low, num_high) e (rid, key, unit, low, high)
        where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high);
    if cardinality(num_rid) > 0 then
      insert into value_number (rid, key, unit, low, high)
        select * from unnest(num_rid, num_key, num_unit, num_low, num_high) e (rid, key, unit, low, high)
        where e.rid = any (done) and not exists (
          select from value_number v
          where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high);
    end if;
    delete from value_string v
      where v.rid = any (done) and not exists (
        select from unnest(str_rid, str_key, str_value) e (rid, key, value)
        where e.rid = v.rid and e.key = v.key and e.value = v.value);
    if cardinality(str_rid) > 0 then
      insert into value_string (rid, key, value)
        select * from unnest(str_rid, str_key, str_value) e (rid, key, value)
        where e.rid = any (done) and not exists (
          select from value_string v where e.rid = v.rid and e.key = v.key and e.value = v.value);
    end if;
    delete from value_date v
      where v.rid = any (done) and not exists (
        select from unnest(dat_rid, dat_key, dat_low, dat_high) e (rid, key, low, high)
        where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high);
    if cardinality(dat_rid) > 0 then
      insert into value_date (rid, key, low, high)
        select * from unnest(dat_rid, dat_key, dat_low, dat_high) e (rid, key, low, high)
        where e.rid = any (done) and not exists (
          select from value_date v where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high);
    end if;

    delete from resource_index i using unnest(p_rid, p_content) e (rid, content)
      where i.rid = e.rid and e.content is null and e.rid = any (done);
    insert into resource_index (rid, type, extractor, timeline, updated, patient, at, until, keys, targets, paths)
      select e.rid, e.type, p_extractor, e.timeline, stamps[e.n], e.patient, e.at, e.until,
        p_keys[coalesce(p_keys_end[e.n - 1], 0) + 1 : e.keys_end],
        p_targets[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end],
        p_paths[coalesce(p_targets_end[e.n - 1], 0) + 1 : e.targets_end]
      from unnest(p_rid, p_type, p_content, p_timeline, p_patient, p_at, p_until, p_keys_end, p_targets_end)
        with ordinality e (rid, type, content, timeline, patient, at, until, keys_end, targets_end, n)
      where e.content is not null and e.rid = any (done)
      on conflict (rid) do update set
        extractor = excluded.extractor, timeline = excluded.timeline, updated = excluded.updated,
        patient = excluded.patient, at = excluded.at, until = excluded.until,
        keys = excluded.keys, targets = excluded.targets, paths = excluded.paths;

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
