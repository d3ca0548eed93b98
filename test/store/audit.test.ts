/** Seals over the audit trail, and months that are dropped from under them. */
import type pg from 'pg';
import { makeAuditLog } from '../../src/store/audit/log.ts';
import { turnPartitions } from '../../src/store/audit/partitions.ts';
import { seal, verify } from '../../src/store/audit/seals.ts';
import { openPool } from '../../src/store/pool.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
let note: () => Promise<void>;
const catalog = { feedBase: 0, typeNumber: () => 1 };
const NOW = new Date();
const months = (ahead: number): Date =>
  new Date(Date.UTC(NOW.getUTCFullYear(), NOW.getUTCMonth() + ahead, 15));

beforeEach(async () => {
  database = await cloneDatabase();
  pool = openPool({ databaseUrl: database.url, size: 2 });
  await turnPartitions(pool, 0);
  const log = makeAuditLog(pool, catalog, 'a secret');
  note = () => log.add({ action: 's', status: 200, agent: 1, shown: [], query: 'Patient?name=x' });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

/** What somebody who holds the database does. */
async function meddle(statement: string): Promise<void> {
  const client = await pool.connect();
  await client.query('set session_replication_role = replica');
  await client.query(statement);
  client.release(true);
}

test('months that are old are dropped, and the seals hold for the rest', async () => {
  await note();
  await seal(pool, catalog);
  await note();
  await note();
  await seal(pool, catalog);
  expect(await verify(pool)).toEqual({ seals: 2, changes: 0, accesses: 3, dropped: 0 });
  expect(await turnPartitions(pool, 1, months(1))).toEqual([]);
  expect(await turnPartitions(pool, 1, months(3))).toHaveLength(2);
  expect(await verify(pool)).toEqual({ seals: 2, changes: 0, accesses: 0, dropped: 3 });
});

const MONTH = NOW.toISOString().slice(0, 7);

test.each([
  ['a row was changed', 'update access_log set found = 9 where tx = (select max(tx) from access_log)', MONTH],
  [
    'patient and resource change places',
    'update access_log set rid = 7 where tx = (select max(tx) from access_log)',
    MONTH,
  ],
  ['a row is gone', 'delete from access_log where tx = (select max(tx) from access_log)', MONTH],
  ['all rows are gone', 'delete from access_log', MONTH],
  [
    'a row came in later',
    `insert into access_log (tx, at, found, n, status, action) select max(tx), now(), 0, 99, 200, 'r' from access_log`,
    MONTH,
  ],
  ['the last but one seal is gone', 'delete from audit_seal where n = 2', 'seal'],
  ['a seal says less', `update audit_seal set parts = '{}' where n = 2`, 'seal'],
])('it is found when %s', async (_, statement, part) => {
  for (let n = 0; n < 3; n++) {
    await note();
    await seal(pool, catalog);
  }
  await meddle(statement);
  const { broken } = await verify(pool);
  expect(broken?.part).toBe(part);
});

test('what is committed late, or by a transaction that began early, is in exactly one seal', async () => {
  const slow = await pool.connect();
  await slow.query('begin');
  await slow.query(
    `insert into access_log (tx, at, found, n, status, action) values (pg_current_xact_id()::text::bigint, now(), 0, 1, 200, 'r')`,
  );
  await note();
  await seal(pool, catalog);
  await slow.query('commit');
  slow.release();
  await seal(pool, catalog);
  await seal(pool, catalog);
  expect(await verify(pool)).toEqual({ seals: 2, changes: 0, accesses: 2, dropped: 0 });
});
