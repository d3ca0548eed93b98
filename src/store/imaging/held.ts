/** The rows of instances that are kept apart. */
import type { Blobs } from '../blobs/blobs.ts';
import { type Executor, run } from '../pool.ts';
import { addBlobs, type File } from './rows.ts';

export interface HeldRow {
  readonly id: string;
  readonly agent: number;
  readonly reason: string;
  readonly uid: string;
  readonly study: string;
  readonly blob: File;
  /** DICOM JSON of the study's level, with whom it says to be about */
  readonly attributes: string;
}

/** An instance that is kept apart. */
export interface Held {
  readonly id: string;
  /** when it came, in milliseconds */
  readonly at: number;
  readonly reason: string;
  readonly uid: string;
  readonly study: string;
  readonly attributes: string;
  readonly blob: File;
}

/** Which of them, and where the page begins: after an id, as they came. */
export interface HeldWanted {
  readonly study?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}

const HOLD = {
  name: 'dicom_hold',
  text: `insert into dicom_held (id, agent, reason, uid, study, blob, sha256, attributes)
         values ($1, $2, $3, $4, $5, $6, decode($7, 'hex'), $8::jsonb) on conflict (uid, sha256) do nothing`,
};
// ids are UUIDs v7, in the order of time
const FIND = {
  name: 'dicom_find_held',
  text: `select h.id::text, extract(epoch from h.at)::float8 * 1000, h.reason, h.uid, h.study, h.attributes::text,
                h.blob::text, b.size, encode(h.sha256, 'hex')
         from dicom_held h join blob b on b.name = h.blob
         where ($1::text is null or h.study = $1) and ($2::uuid[] is null or h.id = any ($2)) and ($3::uuid is null or h.id > $3)
         order by h.id limit $4`,
};
const COUNT = { name: 'dicom_count_held', text: 'select count(*)::int from dicom_held where study = $1' };
const LET_GO = { name: 'dicom_let_go', text: 'delete from dicom_held where id = any ($1::uuid[])' };
// Whoever releases one meanwhile waits for its row, and finds it gone.
const DROP = {
  name: 'dicom_drop_held',
  text: `with gone as (
           delete from dicom_held where id = any ($1::uuid[]) returning study, blob
         ), forgotten as (
           delete from blob b using gone where b.name = gone.blob
         )
         select study, blob::text from gone`,
};

/** Keeps an instance apart; whether it was not kept already. */
export async function hold(
  executor: Executor,
  { id, agent, reason, uid, study, blob, attributes }: HeldRow,
): Promise<boolean> {
  await addBlobs(executor, [blob]);
  const { rowCount } = await executor.query({
    ...HOLD,
    values: [id, agent, reason, uid, study, blob.name, blob.sha256, attributes],
  });
  return rowCount === 1;
}

export async function findHeld(
  executor: Executor,
  { study, ids, after, limit }: HeldWanted,
): Promise<readonly Held[]> {
  const rows = await run(executor, FIND, [study ?? null, ids ?? null, after ?? null, limit]);
  return rows.map(([id, at, reason, uid, of, attributes, name, size, sha256]) => ({
    ...({ id, at, reason, uid, study: of, attributes } as Omit<Held, 'blob'>),
    blob: { name, size, sha256 } as File,
  }));
}

/** How many there are of a study. */
export async function countHeld(executor: Executor, study: string): Promise<number> {
  return (await run(executor, COUNT, [study]))[0]?.[0] as number;
}

/** They are kept apart no longer; whether all of them were until now. */
export async function letGo(executor: Executor, ids: readonly string[]): Promise<boolean> {
  const { rowCount } = await executor.query({ ...LET_GO, values: [ids] });
  return rowCount === ids.length;
}

/** Takes them away, bytes and all; of which studies they were. */
export async function dropHeld(
  executor: Executor,
  blobs: Blobs,
  ids: readonly string[],
): Promise<readonly Pick<Held, 'study'>[]> {
  const rows = (await run(executor, DROP, [ids])) as [study: string, blob: string][];
  for (const [, blob] of rows) await blobs.remove(blob);
  return rows.map(([study]) => ({ study }));
}
