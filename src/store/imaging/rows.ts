/** The rows of DICOM studies, series and instances. */

import type { Blob, Blobs } from '../blobs/blobs.ts';
import { type Executor, type Row, run } from '../pool.ts';

export interface StudyRow {
  readonly uid: string;
  readonly patientId: string;
  readonly issuer: string;
  readonly date: string | null;
  readonly time: string | null;
  readonly accession: string | null;
  /** of the patient, folded */
  readonly name: string | null;
  /** DICOM JSON */
  readonly attributes: string;
}

export interface SeriesRow {
  readonly uid: string;
  readonly modality: string | null;
  readonly number: number | null;
  /** DICOM JSON */
  readonly attributes: string;
}

/** The bytes of a Part 10 file. */
export type File = Pick<Blob, 'name' | 'size' | 'sha256'> & Partial<Pick<Blob, 'sha1'>>;

export interface InstanceRow {
  readonly uid: string;
  readonly series: string;
  readonly class: string;
  readonly number: number | null;
  readonly syntax: string;
  readonly frames: number;
  readonly blob: File;
  /** DICOM JSON */
  readonly attributes: string;
  readonly places: string;
}

/** A study as it is before instances come. */
export interface KnownStudy {
  readonly rid: number;
  /** logical id of its ImagingStudy */
  readonly id: string;
  readonly revision: number;
  readonly patientId: string;
  readonly issuer: string;
}

const STUDY = {
  name: 'dicom_known_study',
  text: `select s.rid, r.id, s.revision, s.patient_id, s.issuer
         from dicom_study s join resource r on r.rid = s.rid and not r.deleted
         where s.uid = $1`,
};

/** A study whose ImagingStudy is there. */
export async function findStudy(executor: Executor, uid: string): Promise<KnownStudy | undefined> {
  const [row] = await run(executor, STUDY, [uid]);
  if (!row) return undefined;
  const [rid, id, revision, patientId, issuer] = row as [number, string, number, string, string];
  return { rid, id, revision, patientId, issuer };
}

// Whoever brings instances into a study waits for whoever does so already.
const LOCK = { name: 'dicom_lock_study', text: 'select pg_advisory_xact_lock($1, hashtext($2))' };
const LOCK_CLASS = 0x64_63_6d;

export async function lockStudy(executor: Executor, uid: string): Promise<void> {
  await run(executor, LOCK, [LOCK_CLASS, uid]);
}

const SAME = {
  name: 'dicom_same_instances',
  text: `select i.uid, i.study, encode(i.sha256, 'hex')
         from dicom_instance i join dicom_study s on s.uid = i.study join resource r on r.rid = s.rid and not r.deleted
         where i.uid = any ($1::text[])`,
};

export interface KnownInstance {
  readonly study: string;
  readonly sha256: string;
}

/** Of instances those that are there. */
export async function findInstances(
  executor: Executor,
  uids: readonly string[],
): Promise<ReadonlyMap<string, KnownInstance>> {
  const rows = await run(executor, SAME, [uids]);
  return new Map(
    rows.map(([uid, study, sha256]) => [uid as string, { study: study as string, sha256: sha256 as string }]),
  );
}

/** What an ImagingStudy tells of a series. */
export interface SeriesContents {
  readonly uid: string;
  /** DICOM JSON */
  readonly attributes: string;
  readonly instances: readonly {
    readonly uid: string;
    readonly class: string;
    readonly number: number | null;
  }[];
}

const CONTENTS = {
  name: 'dicom_study_contents',
  text: `select s.uid, s.attributes::text, i.uid, i.class, i.number
         from dicom_series s join dicom_instance i on i.study = s.study and i.series = s.uid
         where s.study = $1
         order by s.number, s.uid, i.number, i.uid`,
};

export async function readContents(executor: Executor, study: string): Promise<readonly SeriesContents[]> {
  const series = new Map<string, { attributes: string; instances: SeriesContents['instances'][number][] }>();
  for (const row of await run(executor, CONTENTS, [study])) {
    const [uid, attributes, instance, sopClass, number] = row as [
      string,
      string,
      string,
      string,
      number | null,
    ];
    const one = series.get(uid) ?? { attributes, instances: [] };
    one.instances.push({ uid: instance, class: sopClass, number });
    series.set(uid, one);
  }
  return [...series].map(([uid, one]) => ({ uid, ...one }));
}

// What is left of a study whose ImagingStudy was deleted makes room.
const CLEAR = {
  name: 'dicom_clear_study',
  text: `delete from dicom_study s using resource r where s.uid = $1 and r.rid = s.rid and r.rid <> $2 and r.deleted`,
};
const ADD_STUDY = {
  name: 'dicom_add_study',
  text: `insert into dicom_study (uid, rid, patient_id, issuer, date, time, accession, name, attributes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)
         on conflict (uid) do update set revision = dicom_study.revision + 1`,
};
const ADD_SERIES = {
  name: 'dicom_add_series',
  text: `insert into dicom_series (study, uid, modality, number, attributes)
         select $1, s.* from unnest($2::text[], $3::text[], $4::int[], $5::jsonb[]) s
         on conflict (study, uid) do nothing`,
};
const ADD_BLOBS = {
  name: 'dicom_add_blobs',
  text: `insert into blob (name, size, sha256, sha1, kind)
         select n, s, decode(h, 'hex'), decode(h1, 'base64'), 'application/dicom'
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) b (n, s, h, h1)
         on conflict (name) do nothing`,
};
const ADD_INSTANCES = {
  name: 'dicom_add_instances',
  text: `insert into dicom_instance
           (uid, study, series, class, number, syntax, frames, blob, sha256, attributes, places)
         select uid, $1, series, class, number, syntax, frames, blob, decode(sha256, 'hex'), attributes, places
         from unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::int[], $8::uuid[], $9::text[],
                     $10::text[], $11::text[])
           i (uid, series, class, number, syntax, frames, blob, sha256, attributes, places)
         on conflict (uid) do nothing`,
};

/**
 * Adds instances to a study, and the study where it is not there.
 *
 * @returns whether all are in: an instance of the same UID may have come into another study meanwhile
 */
export async function addInstances(
  executor: Executor,
  study: StudyRow & { readonly rid: number },
  series: readonly SeriesRow[],
  instances: readonly InstanceRow[],
): Promise<boolean> {
  await run(executor, CLEAR, [study.uid, study.rid]);
  const { uid, rid, patientId, issuer, date, time, accession, name, attributes } = study;
  await run(executor, ADD_STUDY, [uid, rid, patientId, issuer, date, time, accession, name, attributes]);
  await run(executor, ADD_SERIES, [
    uid,
    series.map((one) => one.uid),
    series.map((one) => one.modality),
    series.map((one) => one.number),
    series.map((one) => one.attributes),
  ]);
  await addBlobs(
    executor,
    instances.map(({ blob }) => blob),
  );
  const { rowCount } = await executor.query({
    ...ADD_INSTANCES,
    values: [
      uid,
      instances.map((one) => one.uid),
      instances.map((one) => one.series),
      instances.map((one) => one.class),
      instances.map((one) => one.number),
      instances.map((one) => one.syntax),
      instances.map((one) => one.frames),
      instances.map((one) => one.blob.name),
      instances.map((one) => one.blob.sha256),
      instances.map((one) => one.attributes),
      instances.map((one) => one.places),
    ],
  });
  return rowCount === instances.length;
}

/** Notes bytes that are kept. */
export async function addBlobs(executor: Executor, blobs: readonly File[]): Promise<void> {
  await run(executor, ADD_BLOBS, [
    blobs.map(({ name }) => name),
    blobs.map(({ size }) => size),
    blobs.map(({ sha256 }) => sha256),
    blobs.map(({ sha1 = null }) => sha1),
  ]);
}

const KNOWN_FILES = {
  name: 'dicom_known_files',
  text: 'select blob::text from dicom_instance where blob = any ($1::uuid[])',
};

/** Which of some files instances have. */
export async function knownFiles(executor: Executor, blobs: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set((await run(executor, KNOWN_FILES, [blobs])).map(([blob]) => blob as string));
}

const DERIVED = {
  name: 'dicom_add_derived',
  text: 'insert into dicom_derived (study, rid) select $1, unnest($2::bigint[]) on conflict do nothing',
};

/** Notes resources that go with a study. */
export async function addDerived(executor: Executor, study: string, rids: readonly number[]): Promise<void> {
  if (rids.length > 0) await run(executor, DERIVED, [study, rids]);
}

const DERIVED_GONE = {
  name: 'dicom_derived_gone',
  text: `select t.type, t.id from dicom_derived d join dicom_study s on s.uid = d.study join resource r on r.rid = s.rid
           join resource t on t.rid = d.rid and not t.deleted
         where r.deleted and ($1::text is null or s.uid = $1)`,
};

/** What was made of studies whose ImagingStudy was deleted, by number of its type and id. */
export async function derivedOfGone(
  executor: Executor,
  study?: string,
): Promise<readonly { readonly type: number; readonly id: string }[]> {
  const rows = await run(executor, DERIVED_GONE, [study ?? null]);
  return rows.map(([type, id]) => ({ type: type as number, id: id as string }));
}

const PURGE = {
  name: 'dicom_purge',
  text: `with gone as (
           delete from dicom_study s using resource r
           where r.rid = s.rid and r.deleted and ($1::text is null or s.uid = $1) returning s.uid
         ), bytes as (
           select i.blob from gone g join dicom_instance i on i.study = g.uid
         ), forgotten as (
           delete from blob b using bytes where b.name = bytes.blob
         )
         select blob::text from bytes`,
};

/**
 * Takes away what belongs to deleted ImagingStudys, bytes and all.
 *
 * @param study only this one
 * @returns     names of the bytes that are gone
 */
export async function purge(executor: Executor, blobs: Blobs, study?: string): Promise<readonly string[]> {
  const rows: Row[] = await run(executor, PURGE, [study ?? null]);
  for (const [blob] of rows) await blobs.remove(blob as string);
  return rows.map(([blob]) => blob as string);
}
