/**
 * What `mixed` is measured by: one prepared statement for each request, on a table with the indexes that these
 * requests need and no others.
 *
 *     GET    /mixed/ID              its content
 *     GET    /mixed?PATIENT&TYPE    at most 20 of a type about a patient
 *     POST   /mixed?PATIENT&TYPE    a row under a new id
 *     PUT    /mixed/ID, DELETE /mixed/ID
 *     POST   /mixed/seed            all that must be there before
 */
import type pg from 'pg';
import { v7 as nextId } from 'uuid';
import { bareRows } from './mixed.ts';

const READ = { name: 'mixed_read', text: 'select content from bench_mixed where id = $1' };
const SEARCH = {
  name: 'mixed_search',
  text: 'select content from bench_mixed where patient = $1 and type = $2 limit 20',
};
const INSERT = {
  name: 'mixed_insert',
  text: 'insert into bench_mixed (id, patient, type, content) values ($1, $2, $3, $4)',
};
const UPDATE = { name: 'mixed_update', text: 'update bench_mixed set content = $2 where id = $1' };
const DELETE = { name: 'mixed_delete', text: 'delete from bench_mixed where id = $1' };

interface BareAnswer {
  readonly status: number;
  readonly text: string;
  readonly location?: string;
}

/** Makes the function that answers. */
export function makeBareMixed(
  pool: pg.Pool,
): (method: string, url: string, body: string) => Promise<BareAnswer> {
  const ask = async (statement: { name: string; text: string }, values: string[]): Promise<string[]> =>
    (await pool.query({ ...statement, values, rowMode: 'array' })).rows.map((row) => row[0]);

  return async (method, url, body) => {
    if (url === '/mixed/seed') {
      await seedRows(pool);
      return { status: 200, text: '' };
    }
    const id = url.slice('/mixed/'.length);
    if (url.startsWith('/mixed?')) {
      const [patient = '', type = ''] = id.split('&');
      if (method === 'GET') return { status: 200, text: `[${(await ask(SEARCH, [patient, type])).join()}]` };
      const created = nextId();
      await ask(INSERT, [created, patient, type, body]);
      return { status: 201, text: body, location: `${type}/${created}` };
    }
    if (method === 'GET') return { status: 200, text: (await ask(READ, [id]))[0] ?? '' };
    if (method === 'PUT') {
      await ask(UPDATE, [id, body]);
      return { status: 200, text: body };
    }
    await ask(DELETE, [id]);
    return { status: 204, text: '' };
  };
}

async function seedRows(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create table if not exists bench_mixed (
      id text primary key, patient text not null, type text not null, content text not null
    );
    alter table bench_mixed alter content set storage external;
    create index if not exists bench_mixed_of_patient on bench_mixed (patient, type)`);
  const rows = bareRows();
  await pool.query(
    `insert into bench_mixed (id, patient, type, content)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) on conflict do nothing`,
    [
      rows.map(({ id }) => id),
      rows.map(({ patient }) => patient),
      rows.map(({ type }) => type),
      rows.map(({ content }) => content),
    ],
  );
}
