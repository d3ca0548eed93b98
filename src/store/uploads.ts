/** The rows of uploads that can be resumed, and of the pieces that have come. */
import { type Executor, run } from './pool.ts';

export interface UploadRow {
  readonly id: string;
  /** milliseconds */
  readonly created: number;
  /** in bytes; null where it is not known yet */
  readonly size: number | null;
  /** bytes that have come */
  readonly offset: number;
  readonly metadata: Readonly<Record<string, string | null>>;
  readonly state: 'o' | 'c' | 'd';
  readonly answer: Readonly<Record<string, string>> | null;
}

export interface PartRow {
  readonly start: number;
  readonly size: number;
  readonly blob: string;
}

/** So long an upload may take, in ms. */
export const LONGEST = 86_400_000;

const ADD = {
  name: 'add_upload',
  text: 'insert into upload (id, agent, size, metadata) values ($1, $2, $3, $4)',
};
const FIND = {
  name: 'find_upload',
  text: `select id::text, (extract(epoch from created) * 1000)::float8, size,
                (select coalesce(max(p.start + p.size), 0) from upload_part p where p.upload = u.id), metadata, state, answer
         from upload u where id = $1 and agent = $2 and created > now() - interval '1 day'`,
};
const DECLARE = {
  name: 'declare_upload',
  text: 'update upload set size = $2 where id = $1 and size is null',
};
const PARTS = {
  name: 'upload_parts',
  text: 'select start, size, blob::text from upload_part where upload = $1 order by start',
};
// Of two that send the same bytes, the second is told so.
const ADD_PART = {
  name: 'add_upload_part',
  text: `insert into upload_part (upload, start, size, blob)
         select id, $2, $3, $4 from upload where id = $1 and state = 'o'
         on conflict do nothing`,
};
const STATE = {
  name: 'upload_state',
  text: 'update upload set state = $3, answer = $4 where id = $1 and state = $2',
};
const DROP_PARTS = {
  name: 'drop_upload_parts',
  text: `with gone as (delete from upload_part where upload = $1 returning blob)
         delete from blob where name in (select blob from gone) returning name::text`,
};
const DROP = { name: 'drop_upload', text: 'delete from upload where id = $1' };
const SWEEP = { name: 'sweep_uploads', text: `delete from upload where created < now() - interval '1 day'` };

export async function addUpload(
  executor: Executor,
  agent: number,
  { id, size, metadata }: Pick<UploadRow, 'id' | 'size' | 'metadata'>,
): Promise<void> {
  await run(executor, ADD, [id, agent, size, JSON.stringify(metadata)]);
}

/** An upload that this access token has begun; undefined where there is none, or it has taken too long. */
export async function findUpload(
  executor: Executor,
  agent: number,
  id: string,
): Promise<UploadRow | undefined> {
  const [row] = await run(executor, FIND, [id, agent]);
  if (!row) return undefined;
  const [own, created, size, offset, metadata, state, answer] = row;
  return { id: own, created, size, offset: Number(offset), metadata, state, answer } as UploadRow;
}

export async function declareUpload(executor: Executor, id: string, size: number): Promise<void> {
  await run(executor, DECLARE, [id, size]);
}

/** In their order. */
export async function uploadParts(executor: Executor, id: string): Promise<readonly PartRow[]> {
  const rows = await run(executor, PARTS, [id]);
  return rows.map(([start, size, blob]) => ({ start, size, blob }) as PartRow);
}

/** Whether it is kept: another may have come in its place. */
export async function addUploadPart(executor: Executor, id: string, part: PartRow): Promise<boolean> {
  const { rowCount } = await executor.query({
    ...ADD_PART,
    values: [id, part.start, part.size, part.blob],
  });
  return rowCount === 1;
}

/** Whether it was in the state that it leaves. */
export async function moveUpload(
  executor: Executor,
  id: string,
  [from, to]: readonly [UploadRow['state'], UploadRow['state']],
  answer: UploadRow['answer'] = null,
): Promise<boolean> {
  const { rowCount } = await executor.query({
    ...STATE,
    values: [id, from, to, answer && JSON.stringify(answer)],
  });
  return rowCount === 1;
}

/** Forgets what has come of it; returns the names of the bytes. */
export async function dropUploadParts(executor: Executor, id: string): Promise<readonly string[]> {
  return (await run(executor, DROP_PARTS, [id])).map(([name]) => name as string);
}

export async function dropUpload(executor: Executor, id: string): Promise<void> {
  await run(executor, DROP, [id]);
}

/** Forgets those that have taken too long; their bytes are nobody's from then on. */
export async function sweepUploads(executor: Executor): Promise<void> {
  await run(executor, SWEEP, []);
}
