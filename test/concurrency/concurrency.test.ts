/** The short variant of `npm run test:concurrency`, and that it finds what is planted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { openPool } from '../../src/store/pool.ts';
import { inconsistencies } from '../support/consistency.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type Fault, told } from './checker.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { concurrency } from './concurrency.ts';
import { PLANTS, type Plant, plantBefore } from './planted.ts';
import { letUsersPost } from './users.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'consilium-concurrency-'));
let database: TestDatabase;
let cluster: Cluster;
beforeAll(async () => {
  database = await cloneDatabase();
  cluster = await startCluster({ DATABASE_URL: database.url, DATA_DIR: dataDir });
});
afterAll(async () => {
  await cluster.stop();
  await database.drop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('what clients are told over servers that die is as if all was done one by one', async () => {
  const { faults, operations, restarts } = await concurrency(cluster, {
    seconds: 4,
    clients: 10,
    restartEvery: 0.8,
  });
  expect(faults.map(told)).toEqual([]);
  expect(operations.length).toBeGreaterThan(100);
  expect(restarts).toBeGreaterThan(0);
  const pool = openPool({ databaseUrl: database.url, size: 2 });
  expect(
    await inconsistencies(pool, await loadDefinitions(), { baseUrl: 'http://fhir.example.org/fhir' }),
  ).toEqual([]);
  await pool.end();
});

test('users who post overlapping Bundles get on, each as well as the others', async () => {
  const { statuses, astray, fairness } = await letUsersPost(cluster, 10, 2.5);
  expect([...statuses.keys()]).toEqual([200]);
  expect(astray).toBe(0);
  expect(fairness).toBeGreaterThan(0.1);
});

async function foundBehind(plant: Plant): Promise<Fault[]> {
  const before = await plantBefore(cluster.ports[0]!, plant, 0.4);
  try {
    const ports = [before.port, cluster.ports[1]!];
    const { faults } = await concurrency(cluster, { seconds: 0.7, clients: 8, pause: 5, ports });
    return [...faults];
  } finally {
    before.close();
  }
}

test.each(PLANTS)(
  '%s is found',
  async (_, kinds, make) => {
    // it depends on chance whether somebody looks just where it went wrong
    let found: Fault[] = [];
    for (let tries = 0; tries < 60 && found.length === 0; tries++)
      found = (await foundBehind(make())).filter(({ kind }) => kinds.includes(kind));
    expect(found).not.toEqual([]);
  },
  120_000,
);

test('where nothing is planted nothing is found', async () => {
  expect((await foundBehind((message, send) => send(message))).map(told)).toEqual([]);
});
