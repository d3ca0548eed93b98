/**
 * What the server is measured by: `node:http` and one prepared statement for each request, with nothing else
 * done. In a process of its own, on the same database. Told its port over IPC.
 *
 *     GET  /read/ID    the content by type and id                       (bare read)
 *     POST /insert     the body as one row of a table of its own        (bare insert)
 *     POST /same-work  the body, with all rows that a create would write, ready-made  (same work)
 *     *    /mixed…     as of REST, on a table of its own                 (bare mixed)
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { v7 as nextId } from 'uuid';
import { makeBareMixed } from './bare-mixed.ts';
import { makeBareSearches } from './bare-searches.ts';
import { isCounted, observationId } from './dataset.ts';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
// A connection that breaks speaks through its query.
pool.on('error', () => {});

const READ = {
  name: 'bare_read',
  text: 'select id, content from resource where type = $1 and id = $2',
};
const INSERT = { name: 'bare_insert', text: 'insert into bench_bare (id, content) values ($1, $2)' };

/**
 * The rows of some Observations, as a create writes them, but for their numbers, ids and times of writing.
 * Arrays come in PostgreSQL's binary format, and go back in it.
 */
const TEMPLATES = `
  select i.type, i.extractor, i.timeline, i.tables, i.at::text, i.until::text,
    array_send(i.patients), array_send(i.keys), array_send(i.targets), array_send(i.paths),
    t.keys, t.patients, t.leads, n.keys, n.units, n.lows, n.highs, s.keys, s.values, d.keys, d.lows, d.highs,
    i.present::text, s.wholes
  from resource r
  join resource_index i on i.rid = r.rid
  cross join lateral (
    select array_send(array_agg(key)) as keys, array_send(array_agg(patient)) as patients,
      array_send(array_agg(lead)) as leads
    from timeline where key = any (i.keys[1 : i.timeline]) and at = i.at and rid = i.rid and lead
  ) t
  cross join lateral (
    select array_send(array_agg(key)) as keys, array_send(array_agg(unit)) as units,
      array_send(array_agg(low)) as lows, array_send(array_agg(high)) as highs
    from value_number where rid = i.rid
  ) n
  cross join lateral (
    select array_send(array_agg(key)) as keys, array_send(array_agg(value)) as values,
      array_send(array_agg(whole)) as wholes
    from value_string where rid = i.rid
  ) s
  cross join lateral (
    select array_send(array_agg(key)) as keys, array_send(array_agg(low)) as lows, array_send(array_agg(high)) as highs
    from value_date where rid = i.rid
  ) d
  where r.type = $1 and r.id = any ($2)`;

const SAME_WORK = {
  name: 'same_work',
  text: `
    with i as (
      insert into resource_index (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths, present)
      values ($1::bigint, $4::smallint, $5::smallint, $6::smallint, $7::smallint, $8::timestamptz, $9::timestamptz,
        $10::bigint[], $11::bigint[], $12::bigint[], $13::smallint[], $26::varbit)
    ), t as (
      insert into timeline (rid, key, patient, lead, at)
      select $1, e.key, e.patient, e.lead, coalesce($8, '-infinity')
      from unnest($14::bigint[], $15::bigint[], $16::boolean[]) e (key, patient, lead)
    ), n as (
      insert into value_number (rid, key, unit, low, high, at)
      select $1, e.*, coalesce($8, '-infinity') from unnest($17::bigint[], $18::bigint[], $19::float8[], $20::float8[]) e
    ), s as (
      insert into value_string (rid, key, value, whole)
      select $1, * from unnest($21::bigint[], $22::text[], $27::text[])
    ), d as (
      insert into value_date (rid, key, low, high)
      select $1, * from unnest($23::bigint[], $24::timestamptz[], $25::timestamptz[])
    ), c as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction)
      values (pg_current_xact_id()::text::bigint, $1, now(), $10, 1, 1, $4, 'c')
    )
    insert into resource (rid, type, id, version, updated, content) values ($1, $4, $2, 1, now(), $3)`,
};

const { rows: types } = await pool.query(`select code from type where name = 'Observation'`);
const observationType: number = types[0].code;
const { rows: templates } = await pool.query({
  text: TEMPLATES,
  // What is written must not change what searches count.
  values: [
    observationType,
    Array.from({ length: 10_000 }, (_, n) => n)
      .filter((n) => !isCounted(n))
      .map(observationId),
  ],
  rowMode: 'array',
});
await pool.query('create table if not exists bench_bare (id text primary key, content text not null)');
await pool.query('alter table bench_bare alter content set storage external');

const BLOCK = 1024;
let rid = 0;
let end = 0;
let taking: Promise<void> | undefined;
/** Numbers are taken in blocks, as the server does. */
async function nextNumber(): Promise<number> {
  while (rid === end) {
    taking ??= pool.query(`select nextval('rid_block')::float8 as block`).then(({ rows }) => {
      rid = rows[0].block * BLOCK;
      end = rid + BLOCK;
      taking = undefined;
    });
    await taking;
  }
  return rid++;
}

const bareMixed = makeBareMixed(pool);
const bareSearch = await makeBareSearches(pool);
const server = createServer((request, response) => {
  answer(request, response).catch((fault) => {
    response.writeHead(500).end(String(fault));
  });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url!;
  if (url.startsWith('/mixed')) {
    const body = request.method === 'GET' ? '' : await bodyOf(request);
    const { status, text, location } = await bareMixed(request.method!, url, body);
    if (location) response.setHeader('Location', location);
    return send(response, status, text);
  }
  if (url.startsWith('/search/')) return send(response, 200, await bareSearch(url));
  if (request.method === 'GET') {
    const { rows } = await pool.query({
      ...READ,
      values: [observationType, url.slice('/read/'.length)],
      rowMode: 'array',
    });
    const [id, content] = rows[0] as [string, string];
    send(response, 200, `{"id":"${id}",${content.slice(1)}`);
    return;
  }
  const body = await bodyOf(request);
  const id = nextId();
  if (url === '/insert') await pool.query({ ...INSERT, values: [id, body] });
  else {
    const number = await nextNumber();
    const template = templates[number % templates.length] as unknown[];
    await pool.query({ ...SAME_WORK, values: [number, id, body, ...template] });
  }
  response.setHeader('Location', `Observation/${id}`);
  send(response, 201, body);
}

function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
    request.on('error', reject);
  });
}

function send(response: ServerResponse, status: number, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': 'application/fhir+json; charset=utf-8',
    'Content-Length': bytes.length,
  });
  response.end(bytes);
}

server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
