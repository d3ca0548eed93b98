/** Posted SearchParameters against writes and searches under way, in two processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { openReindexing, type Reindexing } from '../../src/jobs/reindexing.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { connect } from '../../src/store/connect.ts';
import { inconsistencies } from '../support/consistency.ts';
import { BASE_URL, openBeside, openTestRecords, type TestRecords } from '../support/records.ts';

let one: TestRecords;
let other: TestRecords;
let reindexing: Reindexing;
beforeAll(async () => {
  one = await openTestRecords();
  other = await openBeside(one);
  reindexing = openReindexing(one.store, BASE_URL);
  reindexing.start(pino({ level: 'silent' }));
});
afterAll(async () => {
  await reindexing.close();
  await other.close();
  await one.close();
});

const parameter = (code: string, expression = 'Patient.name.family') =>
  JSON.stringify({
    resourceType: 'SearchParameter',
    url: `https://example.org/${code}`,
    name: 'x',
    status: 'active',
    description: 'x',
    code,
    base: ['Patient'],
    type: 'string',
    expression,
  });
const patient = (id: string, family: string) =>
  JSON.stringify({ resourceType: 'Patient', id, name: [{ family }] });

const open = async (): Promise<number> =>
  (await one.store.pool.query('select count(*)::integer as n from reindex where finished is null')).rows[0].n;

async function settled(): Promise<void> {
  for (let n = 0; n < 400 && (await open()) > 0; n++) {
    reindexing.wake();
    await sleep(25);
  }
  expect(await open()).toBe(0);
}

const request = (query: string) =>
  parseSearch(one.definitions, 'Patient', new URLSearchParams(query), BASE_URL);

async function count(code: string, value: string): Promise<number> {
  await one.store.parameters.refresh();
  return (await one.records.search(one.operator, request(`${code}=${value}`))).entries.length;
}

test('a write that began before, and ends after it is acknowledged, is found when it answers', async () => {
  await other.records.update(other.operator, { type: 'Patient', id: 'late' }, patient('late', 'Before'));
  const lock = await connect(one.url);
  await lock.query(`begin; select from resource where id = 'late' for update`);
  const late = other.records.update(
    other.operator,
    { type: 'Patient', id: 'late' },
    patient('late', 'After'),
  );
  await sleep(200);
  await one.records.create(one.operator, 'SearchParameter', parameter('late-name'));
  reindexing.wake();
  await sleep(500);
  // It waits for the write, and does not pass it by.
  expect(await open()).toBe(1);
  await lock.query('rollback');
  await lock.end();
  await late;
  await settled();
  expect(await count('late-name', 'after')).toBe(1);
  expect(await count('late-name', 'before')).toBe(0);
});

test('what a process that was told nothing writes from then on is indexed by it', async () => {
  await one.records.create(one.operator, 'SearchParameter', parameter('told'));
  const { id } = await other.records.create(
    other.operator,
    'Patient',
    patient('', 'Untold').replace('"id":"",', ''),
  );
  const { rows } = await one.store.pool.query(
    `select i.extractor % 1048576 = e.parameters as current from epoch e, resource_index i join resource r using (rid)
     where r.id = $1`,
    [id],
  );
  expect(rows).toEqual([{ current: true }]);
  await settled();
  expect(await count('told', 'untold')).toBe(1);
});

test('a search that was read before its parameter ended is refused, in the other process too', async () => {
  const { id } = await one.records.create(one.operator, 'SearchParameter', parameter('ends'));
  await settled();
  await other.store.parameters.refresh();
  const read = parseSearch(other.definitions, 'Patient', new URLSearchParams('ends=x'), BASE_URL);
  await one.records.remove(one.operator, { type: 'SearchParameter', id });
  await expect(other.records.search(other.operator, read)).rejects.toMatchObject({ status: 400 });
});

test('two that take one code in two processes: one is refused', async () => {
  const outcomes = await Promise.allSettled([
    one.records.create(one.operator, 'SearchParameter', parameter('raced')),
    other.records.create(other.operator, 'SearchParameter', parameter('raced', 'Patient.name.given')),
  ]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = outcomes.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
  expect(refused.reason).toMatchObject({ status: 422 });
});

test('changed to and fro while it is indexed, the last definition answers, and nothing is left of others', async () => {
  const to = { type: 'SearchParameter', id: 'fro' };
  const put = (expression: string) => {
    const resource = { ...JSON.parse(parameter('fro', expression)), id: 'fro' };
    return one.records.update(one.operator, to, JSON.stringify(resource));
  };
  await put('Patient.name.family');
  await settled();
  await put('Patient.name.given');
  await put('Patient.name.text');
  await put('Patient.name.family');
  expect(await count('fro', 'after')).toBe(1);
  await put('Patient.name.given');
  await settled();
  expect(await count('fro', 'after')).toBe(0);
  await settled();
  expect(await inconsistencies(one.store.pool, one.definitions, { baseUrl: BASE_URL })).toEqual([]);
});

test('a resource that cannot be indexed by it: it does not answer, and says why; retried, it does', async () => {
  const codes = Array.from({ length: 150 }, (_, i) => ({ code: `c${i}` }));
  const name = { type: 'Observation', id: 'wide' };
  const wide = (many: typeof codes) =>
    JSON.stringify({
      resourceType: 'Observation',
      id: 'wide',
      status: 'final',
      code: { text: 'x' },
      component: [{ code: { coding: many }, valueCodeableConcept: { coding: many } }],
    });
  const put = (many: typeof codes) => one.records.update(one.operator, name, wide(many));
  const component = [
    { definition: 'http://hl7.org/fhir/SearchParameter/clinical-code', expression: 'code' },
    { definition: 'http://hl7.org/fhir/SearchParameter/Observation-value-concept', expression: 'value' },
  ];
  await put(codes.slice(0, 5));
  // It came before there were pairs of it.
  await one.store.pool.query(`update resource set content = $1 where id = 'wide'`, [
    JSON.stringify({ ...JSON.parse(wide(codes)), id: undefined }),
  ]);
  const resource = {
    ...JSON.parse(parameter('pairs', 'Observation.component')),
    base: ['Observation'],
    type: 'composite',
    component,
  };
  const { id } = await one.records.create(one.operator, 'SearchParameter', JSON.stringify(resource));
  await settled();
  await one.store.parameters.refresh();
  const read = () =>
    parseSearch(one.definitions, 'Observation', new URLSearchParams('pairs=c1$c2'), BASE_URL);
  expect(read).toThrow('could not be indexed: see its job');
  await put(codes.slice(0, 5));
  await one.records.reindex(one.operator, { parameter: id });
  await settled();
  await one.store.parameters.refresh();
  expect((await one.records.search(one.operator, read())).entries).toHaveLength(1);
});
