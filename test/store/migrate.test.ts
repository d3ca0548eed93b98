/** The schema and its migrations, on real databases. */
import { readdirSync } from 'node:fs';
import { connect } from '../../src/store/connect.ts';
import { migrate, pending } from '../../src/store/migrate.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

const all = readdirSync(new URL('../../migrations/', import.meta.url))
  .map((file) => file.replace(/\.sql$/, ''))
  .sort();
const databases: TestDatabase[] = [];

async function database(options?: { empty: boolean }): Promise<TestDatabase> {
  const made = await cloneDatabase(options);
  databases.push(made);
  return made;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = await connect(url);
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

afterAll(() => Promise.all(databases.map(({ drop }) => drop())));

test('an empty database gets all migrations in order, and a second time none', async () => {
  const { url } = await database({ empty: true });
  expect(await pending(url)).toEqual(all);
  expect(await migrate(url)).toEqual(all);
  expect(await pending(url)).toEqual([]);
  expect(await migrate(url)).toEqual([]);
});

test('several processes that migrate at once apply each migration once', async () => {
  const { url } = await database({ empty: true });
  const applied = await Promise.all([1, 2, 3, 4].map(() => migrate(url)));
  expect(applied.flat().sort()).toEqual(all);
  expect(await query(url, 'select count(*)::int as n from migration')).toEqual([{ n: all.length }]);
});

test('a database of a newer schema is refused in one line that names it', async () => {
  const { url } = await database();
  await query(url, `insert into migration (name, run_on) values ('9999_future', now())`);
  const told = /^The database has a newer schema .*9999_future.*: run the newer version/;
  await expect(migrate(url)).rejects.toThrow(told);
  await expect(pending(url)).rejects.toThrow(told);
});

test('a migration that fails leaves nothing behind and says why', async () => {
  const { url } = await database({ empty: true });
  await query(url, 'create table resource ()');
  await expect(migrate(url)).rejects.toThrow(/could not be migrated .*relation "resource" already exists$/);
  expect(await query(url, `select tablename from pg_tables where schemaname = 'public' order by 1`)).toEqual([
    { tablename: 'migration' },
    { tablename: 'resource' },
  ]);
});

describe('a database that cannot be reached is told in one line that says what to do', () => {
  const failing = async (change: (url: URL) => void) => {
    const url = new URL(process.env.TEST_DATABASE_URL!);
    change(url);
    const fault = await connect(url.href).then(
      () => undefined,
      (fault: Error) => fault,
    );
    expect(fault?.message).not.toContain(url.password);
    return fault?.message;
  };
  test.each<[string, (url: URL) => void, RegExp]>([
    [
      'nobody listens',
      (url) => {
        url.port = '1';
      },
      /does not answer: is PostgreSQL running there/,
    ],
    [
      'a wrong password',
      (url) => {
        url.password = 'wrong-one';
      },
      /refuses this user or password/,
    ],
    [
      'no such database',
      (url) => {
        url.pathname = '/nowhere';
      },
      /nowhere does not exist: create it/,
    ],
    [
      'another protocol',
      (url) => {
        url.href = 'http://user:secret@host/db';
      },
      /DATABASE_URL is no postgres:/,
    ],
  ])('%s', async (_, change, told) => {
    expect(await failing(change)).toMatch(told);
  });
});
