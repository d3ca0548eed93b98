/** Finds studies, series and instances by their attributes (PS3.18 §8.3.4), as SQL of fixed fragments. */
import { foldLetters } from '../../fhir/fold.ts';
import { type Executor, run } from '../pool.ts';
import { sql as newSql, type Sql } from '../search/sql.ts';

export type Level = 'study' | 'series' | 'instance';

/** What an attribute has to be (PS3.4 §C.2.2.2). */
export type Test =
  /** one of these */
  | { readonly kind: 'one'; readonly values: readonly string[] }
  /** with `*` and `?` */
  | { readonly kind: 'wild'; readonly pattern: string }
  /** texts in order; inclusive, and of what begins with `high` all */
  | { readonly kind: 'range'; readonly low?: string; readonly high?: string }
  /** of a name: each of these words begins one of its own */
  | { readonly kind: 'fuzzy'; readonly words: readonly string[] };

export interface Filter {
  readonly level: Level;
  /** 8 hexadecimal digits */
  readonly tag: string;
  readonly vr: string;
  readonly test: Test;
}

export interface Sought {
  readonly level: Level;
  readonly filters: readonly Filter[];
  readonly limit: number;
  readonly offset: number;
  /** number of the patient whom alone studies may be about */
  readonly patient?: number | undefined;
}

export interface FoundRow {
  readonly study: string;
  /** number of its ImagingStudy */
  readonly rid: number;
  /** logical id of its ImagingStudy */
  readonly id: string;
  readonly series?: string;
  readonly instance?: string;
  /** DICOM JSON of each level */
  readonly attributes: readonly string[];
  readonly modalities: readonly string[];
  /** series of the study, instances of it, and of the series */
  readonly counts: { readonly series: number; readonly instances: number; readonly ofSeries: number };
}

/** Columns of their own, by tag. */
const COLUMNS: Readonly<Record<string, string | undefined>> = {
  '0020000D': 's.uid',
  '00080020': 's.date',
  '00080030': 's.time',
  '00080050': 's.accession',
  '00100020': 's.patient_id',
  '00100010': 's.name',
  '0020000E': 'e.uid',
  '00080060': 'e.modality',
  '00080018': 'i.uid',
  '00080016': 'i.class',
};

const ATTRIBUTES: Readonly<Record<Level, string>> = {
  study: 's.attributes',
  series: 'e.attributes',
  instance: 'i.attributes::jsonb',
};

const FROM: Readonly<Record<Level, string>> = {
  study: 'dicom_study s',
  series: 'dicom_study s join dicom_series e on e.study = s.uid',
  instance:
    'dicom_study s join dicom_series e on e.study = s.uid join dicom_instance i on i.study = e.study and i.series = e.uid',
};

const ORDER: Readonly<Record<Level, string>> = {
  study: 's.date desc nulls last, s.uid',
  series: 's.date desc nulls last, s.uid, e.number, e.uid',
  instance: 's.date desc nulls last, s.uid, e.number, e.uid, i.number, i.uid',
};

const NAMES: Readonly<Record<Level, string>> = {
  study: 's.uid as study, null as series, null as instance',
  series: 's.uid as study, e.uid as series, null as instance',
  instance: 's.uid as study, e.uid as series, i.uid as instance',
};

const CONTENTS: Readonly<Record<Level, string>> = {
  study: 'array[s.attributes::text]',
  series: 'array[s.attributes::text, e.attributes::text]',
  instance: 'array[s.attributes::text, e.attributes::text, i.attributes]',
};

/** A page of what is sought, in a fixed order. */
export async function find(executor: Executor, sought: Sought): Promise<readonly FoundRow[]> {
  const { level, limit, offset } = sought;
  const sql = newSql();
  const where = conditions(sql, sought);
  const text = `
    select s.uid, r.rid, r.id, p.series, p.instance, ${CONTENTS[level]},
      array(select distinct m.modality from dicom_series m where m.study = s.uid and m.modality is not null order by 1),
      (select count(*) from dicom_series c where c.study = s.uid)::int,
      (select count(*) from dicom_instance c where c.study = s.uid)::int,
      ${level === 'study' ? '0' : '(select count(*) from dicom_instance c where c.study = s.uid and c.series = e.uid)::int'}
    from (select ${NAMES[level]} from ${FROM[level]} where ${where} order by ${ORDER[level]}
          limit ${sql.bind(limit)} offset ${sql.bind(offset)}) p
    join dicom_study s on s.uid = p.study join resource r on r.rid = s.rid
    ${level === 'study' ? '' : 'join dicom_series e on e.study = p.study and e.uid = p.series'}
    ${level === 'instance' ? 'join dicom_instance i on i.uid = p.instance' : ''}
    order by ${ORDER[level]}`;
  const { rows } = await executor.query({ text, values: sql.values, rowMode: 'array' });
  return rows.map(
    ([study, rid, id, series, instance, attributes, modalities, ofStudy, instances, ofSeries]) => ({
      study,
      rid,
      id,
      ...(series === null ? {} : { series }),
      ...(instance === null ? {} : { instance }),
      attributes,
      modalities,
      counts: { series: ofStudy, instances, ofSeries },
    }),
  );
}

/** How many there are in all. */
export async function count(executor: Executor, sought: Sought): Promise<number> {
  const sql = newSql();
  const where = conditions(sql, sought);
  const { rows } = await executor.query({
    text: `select count(*)::int from ${FROM[sought.level]} where ${where}`,
    values: sql.values,
    rowMode: 'array',
  });
  return rows[0]?.[0] as number;
}

/**
 * Studies whose ImagingStudy is deleted are not there. Those that are not purged yet are few, and looked for once: a join with
 * `resource` took most of the time of a count.
 */
const THERE = `s.rid <> all (array(
  select d.rid from resource d
  where d.deleted and d.type = (select code from type where name = 'ImagingStudy')
    and exists (select from dicom_study g where g.rid = d.rid)))`;

function conditions(sql: Sql, { filters, patient }: Sought): string {
  const all = [THERE, ...filters.map((filter) => condition(sql, filter))];
  if (patient !== undefined)
    all.push(
      `exists (select from resource_index x where x.rid = s.rid and x.patients @> array[${sql.bind(patient)}::bigint])`,
    );
  return all.join(' and ');
}

function condition(sql: Sql, filter: Filter): string {
  const { level, tag, vr, test } = filter;
  if (tag === '00080061')
    return `exists (select from dicom_series m where m.study = s.uid and ${passes(sql, 'm.modality', test, vr)})`;
  const column = COLUMNS[tag];
  if (column) return passes(sql, column, test, vr);
  const value = vr === 'PN' ? `lower(v ->> 'Alphabetic')` : `v #>> '{}'`;
  const values = `${ATTRIBUTES[level]} -> ${sql.bind(tag)} -> 'Value'`;
  const indexed = byValue(sql, filter);
  return `${indexed}exists (select from jsonb_array_elements(case jsonb_typeof(${values}) when 'array' then ${values} else '[]' end) v where ${passes(sql, value, test, vr)})`;
}

/** VRs whose values are texts in JSON, compared as they are. */
const TEXTS = new Set(['AE', 'AS', 'CS', 'DA', 'DT', 'LO', 'LT', 'SH', 'ST', 'TM', 'UC', 'UI', 'UR', 'UT']);

/** What finds values by an index, before they are looked at; those of instances have none. */
function byValue(sql: Sql, { level, tag, vr, test }: Filter): string {
  if (test.kind !== 'one' || level === 'instance' || !TEXTS.has(vr)) return '';
  const wanted = test.values.map((value) => JSON.stringify({ [tag]: { Value: [value] } }));
  return `${ATTRIBUTES[level]} @> any (${sql.bind(wanted)}::jsonb[]) and `;
}

function passes(sql: Sql, value: string, test: Test, vr: string): string {
  const folded = (text: string): string => (vr === 'PN' ? foldLetters(text) : text);
  switch (test.kind) {
    case 'one':
      return `${value} = any (${sql.bind(test.values.map(folded))}::text[])`;
    case 'wild':
      return `${value} like ${sql.bind(likeOf(folded(test.pattern)))}`;
    case 'range': {
      const { low, high } = test;
      const from = low === undefined ? 'true' : `${value} collate "C" >= ${sql.bind(low)}`;
      // 1015 is all of that minute
      const to = high === undefined ? 'true' : `${value} collate "C" <= ${sql.bind(`${high}~`)}`;
      return `(${from} and ${to} and ${value} <> '')`;
    }
    case 'fuzzy':
      return `(${test.words.map((word) => `${value} ~ ${sql.bind(`(^|[\\^= ,-])${escaped(foldLetters(word))}`)}`).join(' and ') || 'true'})`;
  }
}

const likeOf = (pattern: string): string =>
  pattern
    .replace(/[\\%_]/g, '\\$&')
    .replaceAll('*', '%')
    .replaceAll('?', '_');

const escaped = (text: string): string => text.replace(/[^\p{L}\p{N}]/gu, '\\$&');

/** Where one instance is, and what it is of. */
export interface InstancePlace {
  readonly uid: string;
  readonly series: string;
  readonly syntax: string;
  readonly frames: number;
  readonly blob: string;
  readonly sha256: string;
  /** of the file, in bytes */
  readonly size: number;
  readonly attributes: string;
  readonly places: string;
}

const INSTANCES = {
  name: 'dicom_instances',
  text: `select i.uid, i.series, i.syntax, i.frames, i.blob::text, encode(i.sha256, 'hex'), b.size, i.attributes, i.places
         from dicom_instance i join dicom_series e on e.study = i.study and e.uid = i.series join blob b on b.name = i.blob
         where i.study = $1 and ($2::text is null or i.series = $2) and ($3::text is null or i.uid = $3)
         order by e.number, e.uid, i.number, i.uid limit $4 offset $5`,
};

/** Instances of a study, of a series of it, or one, in a fixed order. */
export async function readInstances(
  executor: Executor,
  of: { readonly study: string; readonly series?: string; readonly instance?: string },
  limit: number,
  offset: number,
): Promise<readonly InstancePlace[]> {
  const rows = await run(executor, INSTANCES, [
    of.study,
    of.series ?? null,
    of.instance ?? null,
    limit,
    offset,
  ]);
  return rows.map(([uid, series, syntax, frames, blob, sha256, size, attributes, places]) => ({
    uid: uid as string,
    series: series as string,
    syntax: syntax as string,
    frames: frames as number,
    blob: blob as string,
    sha256: sha256 as string,
    size: size as number,
    attributes: attributes as string,
    places: places as string,
  }));
}

const SYNTAXES = {
  name: 'dicom_syntaxes',
  text: `select distinct syntax from dicom_instance
         where study = $1 and ($2::text is null or series = $2) and ($3::text is null or uid = $3)`,
};

/** The transfer syntaxes that instances are stored in. */
export async function readSyntaxes(
  executor: Executor,
  of: { readonly study: string; readonly series?: string; readonly instance?: string },
): Promise<readonly string[]> {
  const rows = await run(executor, SYNTAXES, [of.study, of.series ?? null, of.instance ?? null]);
  return rows.map(([syntax]) => syntax as string);
}
