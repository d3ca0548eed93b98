/** The change feed, with transactions that are slow, idle, or roll back. */
import type pg from 'pg';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { type Catalog, openCatalog } from '../../src/store/catalog.ts';
import { endOfFeed, readFeed } from '../../src/store/feed.ts';
import { openPool } from '../../src/store/pool.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
let catalog: Catalog;
let definitions: Definitions;

beforeAll(async () => {
  database = await cloneDatabase();
  definitions = await loadDefinitions();
});
beforeEach(async () => {
  pool = openPool({ databaseUrl: database.url });
  catalog = await openCatalog(pool, definitions);
});
afterEach(async () => {
  await pool.query('truncate change');
  await pool.end();
});
afterAll(() => database.drop());

/** Writes a change as src/store/write does. */
async function write(executor: pg.Pool | pg.PoolClient, rid: number, version = 1): Promise<void> {
  await executor.query(
    `insert into change (tx, rid, at, patients, version, agent, type, interaction)
     values (pg_current_xact_id()::text::bigint + $3, $1, now(), '{}', $2, 0, 1, 'c')`,
    [rid, version, catalog.feedBase],
  );
}

/** Reads to the end, in pages. */
async function poll(
  position: string | undefined,
  limit = 100,
): Promise<{ rids: number[]; position: string }> {
  const rids: number[] = [];
  for (let at = position; ; ) {
    const page = await readFeed(pool, catalog, at, limit);
    rids.push(...page.entries.map(({ rid }) => rid));
    at = page.position;
    if (!page.more) return { rids, position: at };
  }
}

async function begun(): Promise<pg.PoolClient> {
  const client = await pool.connect();
  await client.query('begin');
  return client;
}

async function ended(client: pg.PoolClient, how: 'commit' | 'rollback'): Promise<void> {
  await client.query(how);
  client.release();
}

test('a change that commits after a later one has been read is read next', async () => {
  const slow = await begun();
  await write(slow, 1);
  await write(pool, 2);
  const first = await poll(undefined);
  expect(first.rids).toEqual([2]);
  await write(pool, 3);
  await ended(slow, 'commit');
  const second = await poll(first.position);
  expect(second.rids).toEqual([1, 3]);
  expect((await poll(second.position)).rids).toEqual([]);
});

test('a writer that never ends, and one that rolls back, hold nothing up', async () => {
  const idle = await begun();
  await write(idle, 1);
  const failing = await begun();
  await write(failing, 2);
  await write(pool, 3);
  await ended(failing, 'rollback');
  const { rids, position } = await poll(undefined);
  expect(rids).toEqual([3]);
  await write(pool, 4);
  expect((await poll(position)).rids).toEqual([4]);
  await ended(idle, 'rollback');
});

test('pages end anywhere: what commits between two of them comes in a later reading, once', async () => {
  for (let rid = 1; rid <= 5; rid++) await write(pool, rid);
  const slow = await begun();
  await write(slow, 6);
  await write(slow, 7);
  const page = await readFeed(pool, catalog, undefined, 2);
  expect(page.more).toBe(true);
  await ended(slow, 'commit');
  await write(pool, 8);
  const rest = await poll(page.position, 2);
  expect([...page.entries.map(({ rid }) => rid), ...rest.rids]).toEqual([1, 2, 3, 4, 5]);
  expect((await poll(rest.position, 2)).rids).toEqual([6, 7, 8]);
});

test('a reader that polls while writers run, some slow, some rolled back, misses nothing and sees nothing twice', async () => {
  let next = 1;
  const committed = new Set<number>();
  let writing = true;
  const writer = async (pause: number): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      const client = await begun();
      const own = [next++, next++];
      for (const rid of own) {
        await write(client, rid);
        await new Promise((resolve) => setTimeout(resolve, (pause * ((i * 7) % 5)) / 4));
      }
      const commits = i % 6 !== 5;
      await ended(client, commits ? 'commit' : 'rollback');
      if (commits) for (const rid of own) committed.add(rid);
    }
  };
  const writers = Promise.all([writer(0), writer(1), writer(8), writer(20)]).then(() => {
    writing = false;
  });
  const seen: number[] = [];
  let position: string | undefined;
  for (let last = false; !last; ) {
    // What is committed when the writers have ended is read once more.
    last = !writing;
    const found = await poll(position, 7);
    seen.push(...found.rids);
    position = found.position;
  }
  await writers;
  expect(seen.length).toBe(new Set(seen).size);
  expect(new Set(seen)).toEqual(committed);
});

test.each([
  'a position survives a restore into a new cluster, whose transactions count from the beginning',
  'and nothing comes twice where an older transaction was still under way',
])('%s', async (name) => {
  const older = name.startsWith('and') ? await begun() : undefined;
  await older?.query('select pg_current_xact_id()');
  await write(pool, 1);
  const { position } = await poll(undefined);
  if (older) await ended(older, 'rollback');
  // What a restore looks like from inside: the rows are there, and their numbers lie far ahead.
  await pool.query('alter table change disable trigger user');
  await pool.query('update change set tx = tx + 1000000');
  await pool.query('alter table change enable trigger user');
  const [base, seen = ''] = position.split(';');
  const ahead = `${base};${seen.replace(/\d+/g, (number) => String(Number(number) + 1_000_000))};;`;
  catalog = await openCatalog(pool, definitions);
  expect(catalog.feedBase).toBeGreaterThan(1_000_000);
  await write(pool, 2);
  expect((await poll(ahead)).rids).toEqual([2]);
  expect((await poll(undefined)).rids).toEqual([1, 2]);
  await pool.query(`update setting set value = '0' where name = 'feed_base'`);
});

test('the end of the feed is after everything there is', async () => {
  await write(pool, 1);
  const position = await endOfFeed(pool, catalog);
  await write(pool, 2);
  expect((await poll(position)).rids).toEqual([2]);
});

test.each(['', '1', '0;1:1:;;x', "0;1:1:;;1,2,3'", '0;a:b:;;'])(
  '%j is refused as no position',
  async (text) => {
    await expect(readFeed(pool, catalog, text, 10)).rejects.toMatchObject({ status: 400 });
  },
);
