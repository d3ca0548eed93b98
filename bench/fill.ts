/** Fills an empty database with the dataset by COPY, its index rows made by the server's own indexer. */
import type { Resource } from 'fhir/r4.js';
import pg from 'pg';
import { contentOf } from '../src/fhir/content.ts';
import { loadDefinitions } from '../src/fhir/definitions.ts';
import { EXTRACTOR_VERSION } from '../src/fhir/extract.ts';
import { type Catalog, openCatalog } from '../src/store/catalog.ts';
import { keyText, makeKeys } from '../src/store/index/keys.ts';
import { type Indexer, makeIndexer } from '../src/store/index/row.ts';
import { makeUnits, type Units } from '../src/store/index/units.ts';
import type { IndexRow } from '../src/store/index/values.ts';
import { migrate } from '../src/store/migrate.ts';
import { tablesOf } from '../src/store/write/batch.ts';
import { type Column, copyInto } from './copy.ts';
import type { Size } from './dataset.ts';
import { dataset, totalOf } from './loading.ts';

const BATCH = 2000;
const BLOCK = 1024;

const COLUMNS = {
  resource: ['rid', 'type', 'id', 'version', 'updated', 'content', 'security'],
  resource_index: [
    'rid',
    'type',
    'extractor',
    'timeline',
    'tables',
    'at',
    'until',
    'patients',
    'keys',
    'targets',
    'paths',
    'present',
  ],
  timeline: ['rid', 'key', 'patient', 'at', 'lead'],
  value_number: ['rid', 'key', 'unit', 'low', 'high', 'at'],
  value_string: ['rid', 'key', 'value', 'whole'],
  value_date: ['rid', 'key', 'low', 'high'],
  change: ['tx', 'rid', 'at', 'patients', 'version', 'agent', 'type', 'interaction'],
} as const;
type Table = keyof typeof COLUMNS;
type Rows = Record<Table, Column[][]>;
const TABLES = Object.keys(COLUMNS) as Table[];
const SIZES = ['observations', 'patients', 'others'] as const;

/**
 * Migrates a database and fills it, unless it holds that dataset already.
 *
 * @param log told of the progress
 * @throws    Error where it holds anything else
 */
export async function fill(databaseUrl: string, size: Size, log: (line: string) => void): Promise<void> {
  await migrate(databaseUrl);
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: TABLES.length + 1,
    options: '-c synchronous_commit=off',
  });
  try {
    await pool.query(
      `create table if not exists bench_dataset
         (observations integer not null, patients integer not null, others integer not null, filled boolean not null)`,
    );
    const { rows } = await pool.query('select observations, patients, others, filled from bench_dataset');
    const [known] = rows;
    if (known?.filled && SIZES.every((name) => known[name] === size[name])) return;
    const { rows: some } = await pool.query('select from resource limit 1');
    if (known?.filled || (!known && some.length > 0))
      throw new Error('The database holds something else than this benchmark: give it an empty one');
    // A fill that was broken off begins anew.
    await pool.query(`truncate bench_dataset, code_key, unit_name, ${TABLES}`);
    await pool.query(
      'insert into bench_dataset values ($1, $2, $3, false)',
      SIZES.map((name) => size[name]),
    );
    await withoutIndexes(pool, log, () => fillEmpty(pool, size, log));
    await pool.query('update bench_dataset set filled = true');
    await pool.query('vacuum (analyze)');
    await pool.query('checkpoint').catch(() => {}); // needs a role that not everyone has
  } finally {
    await pool.end();
  }
}

/**
 * Does some work while the tables have no indexes but their keys, and makes these all at once: kept up row by row they
 * would take most of the time. What they are is remembered in the database until they are there again.
 */
async function withoutIndexes(
  pool: pg.Pool,
  log: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  await pool.query('create table if not exists bench_index (name text not null, definition text not null)');
  await pool.query(
    `insert into bench_index
     select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
     where indrelid = any ($1::regclass[]) and not indisunique`,
    [TABLES],
  );
  const { rows } = await pool.query('select distinct name, definition from bench_index');
  for (const { name } of rows) await pool.query(`drop index if exists ${name}`);
  await work();
  for (const { name, definition } of rows) {
    log(`making ${name}`);
    await pool.query(definition);
  }
  await pool.query('drop table bench_index');
}

async function fillEmpty(pool: pg.Pool, size: Size, log: (line: string) => void): Promise<void> {
  const definitions = await loadDefinitions();
  const catalog = await openCatalog(pool, definitions);
  const keys = makeKeys(catalog.secret);
  const indexer = makeIndexer(definitions, keys, catalog);
  const units = makeUnits(pool, keys.units);
  const clients = await Promise.all(TABLES.map(() => pool.connect()));
  try {
    const total = totalOf(size);
    await pool.query(`select setval('rid_block', $1)`, [Math.ceil(total / BLOCK) + 2]);
    const numbers = new Map<string, number>();
    const codes = new Map<string, readonly [string, string]>();
    let rid = BLOCK;
    let batch: Resource[] = [];
    // Rows are made while those before them are copied.
    let copied: Promise<unknown> = Promise.resolve();
    const flush = async () => {
      const { rows } = await pool.query('select pg_current_xact_id()::text as tx');
      const tx = Number(rows[0].tx) + catalog.feedBase;
      const made = await rowsOf(batch, rid, tx, { catalog, indexer, numbers, codes, units });
      await copied;
      copied = Promise.all(
        TABLES.map((table, i) => copyInto(clients[i]!, table, COLUMNS[table], made[table])),
      );
      // Seen to above, or at the end.
      copied.catch(() => {});
      rid += batch.length;
      batch = [];
    };
    for (const resource of dataset(size)) {
      batch.push(resource);
      if (batch.length < BATCH) continue;
      await flush();
      if (((rid - BLOCK) / BATCH) % 10 === 0) log(`${rid - BLOCK} of ${total} resources`);
    }
    await flush();
    await copied;
    for (const [code, key] of codes.values())
      await pool.query('insert into code_key (code, key) values ($1, $2) on conflict do nothing', [
        code,
        key,
      ]);
  } finally {
    for (const client of clients) client.release();
  }
}

interface Making {
  readonly catalog: Catalog;
  readonly indexer: Indexer;
  /** numbers of the resources by Type/id */
  readonly numbers: Map<string, number>;
  readonly codes: Map<string, readonly [string, string]>;
  readonly units: Units;
}

async function rowsOf(batch: readonly Resource[], first: number, tx: number, making: Making): Promise<Rows> {
  const { catalog, indexer, numbers, codes, units } = making;
  const rows = Object.fromEntries(TABLES.map((table) => [table, [] as Column[][]])) as Rows;
  const now = new Date().toISOString();
  for (const [i, resource] of batch.entries()) {
    const rid = first + i;
    const type = catalog.typeNumber(resource.resourceType);
    numbers.set(`${resource.resourceType}/${resource.id}`, rid);
    const analysis = indexer.analyse(resource, '');
    const targets = analysis.edges.map((edge) => numbers.get(`${edge.type}/${edge.id}`)!);
    const paths = await catalog.pathNumbers(analysis.edges.map(({ path }) => path));
    const row = indexer.row(analysis, rid, targets, paths, '');
    const { content, security } = contentOf(resource as unknown as Record<string, unknown>);
    rows.resource.push([rid, type, resource.id!, 1, now, content, security]);
    addIndexRows(rows, row, rid, type);
    rows.change.push([tx, rid, now, `{${row.patients}}`, 1, 0, type, 'c']);
    await units.add(row.units);
    const pairs = texts(row.codes);
    for (let p = 0; p < pairs.length; p += 2)
      codes.set(`${pairs[p]} ${pairs[p + 1]}`, [pairs[p]!, pairs[p + 1]!]);
  }
  return rows;
}

function addIndexRows(rows: Rows, row: IndexRow, rid: number, type: number): void {
  const keys = texts(row.keys);
  rows.resource_index.push([
    ...[rid, type, EXTRACTOR_VERSION, row.timeline, tablesOf(row)],
    ...[row.at === null ? null : instant(row.at), row.until === null ? null : instant(row.until)],
    ...[`{${row.patients}}`, `{${keys}}`, `{${row.targets}}`, `{${row.paths}}`, bitsOf(row.present)],
  ]);
  for (const [p, patient] of (row.patients.length > 0 ? row.patients : [0]).entries())
    for (const key of keys.slice(0, row.timeline))
      rows.timeline.push([rid, key, patient, instant(row.at ?? Number.NEGATIVE_INFINITY), p === 0]);
  const { numbers, strings, dates } = row;
  const at = instant(row.at ?? Number.NEGATIVE_INFINITY);
  const units = texts(numbers.units);
  for (const [i, key] of texts(numbers.keys).entries())
    rows.value_number.push([rid, key, units[i]!, numbers.low[i]!, numbers.high[i]!, at]);
  for (const [i, key] of texts(strings.keys).entries())
    rows.value_string.push([rid, key, strings.values[i]!, strings.wholes[i]!]);
  for (const [i, key] of texts(dates.keys).entries())
    rows.value_date.push([rid, key, instant(dates.low[i]!), instant(dates.high[i]!)]);
}

/** Bits as PostgreSQL reads them. */
const bitsOf = (present: Uint8Array): string =>
  Array.from(present, (byte) => byte.toString(2).padStart(8, '0')).join('');

/** Keys as PostgreSQL reads them; null where there is none. */
function texts(halves: readonly number[]): (string | null)[] {
  const made: (string | null)[] = [];
  for (let i = 0; i < halves.length; i += 2) {
    const high = halves[i]!;
    made.push(Number.isNaN(high) ? null : keyText({ high, low: halves[i + 1]! }));
  }
  return made;
}

function instant(milliseconds: number): string {
  if (Number.isFinite(milliseconds)) return new Date(milliseconds).toISOString();
  return milliseconds > 0 ? 'infinity' : '-infinity';
}
