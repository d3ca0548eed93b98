/** A check that finds nothing is worth something only if it finds what is there: faults are planted. */
import pino from 'pino';
import { type App, openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { inconsistencies, inconsistenciesIn } from './consistency.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';

let database: TestDatabase;
let app: App;

beforeAll(async () => {
  database = await cloneDatabase();
  app = await openApp(readConfig({ DATABASE_URL: database.url }), pino({ level: 'silent' }));
  const caller = await app.records.operator();
  const patient = await app.records.create(
    caller,
    'Patient',
    '{"resourceType":"Patient","name":[{"family":"Ash"}],"birthDate":"1980"}',
  );
  const body = (value: number, id?: string) =>
    JSON.stringify({
      resourceType: 'Observation',
      id,
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
      subject: { reference: `Patient/${patient.id}` },
      performer: [{ reference: 'Practitioner/nobody-yet' }],
      effectiveDateTime: '2025-03-04T05:06:07Z',
      issued: '2025-03-04T05:06:08Z',
      valueQuantity: { value, code: '/min', system: 'http://unitsofmeasure.org' },
    });
  const { id } = await app.records.create(caller, 'Observation', body(60));
  await app.records.update(caller, { type: 'Observation', id }, body(61, id));
  const other = await app.records.create(caller, 'Observation', body(70));
  await app.records.remove(caller, { type: 'Observation', id: other.id });
  await app.records.update(caller, { type: 'Observation', id: other.id }, body(71, other.id));
  await app.records.remove(caller, { type: 'Observation', id: other.id });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

test('creates, updates, deletions and revivals leave all in agreement', async () => {
  expect(await inconsistencies(app.pool, app.definitions)).toEqual([]);
});

const current = `(select r.rid from resource r where r.version = 2 and not r.deleted)`;

/** Changes are append-only. */
const unlocked = 'alter table change disable trigger user;';

test.each([
  [
    'a timeline row is missing',
    `delete from timeline where ctid = (select ctid from timeline where rid = ${current} limit 1)`,
    'timeline of',
  ],
  [
    'a timeline row is of another time',
    `update timeline set at = at + '1 day' where rid = ${current}`,
    'a row of timeline is of',
  ],
  ['a number is missing', `delete from value_number where rid = ${current}`, 'numbers of'],
  ['a number is another', `update value_number set low = low + 1 where rid = ${current}`, 'numbers of'],
  [
    'a number is of another time',
    `update value_number set at = at + '1 day' where rid = ${current}`,
    'numbers of',
  ],
  [
    'a string belongs to nothing',
    `insert into value_string values (999999, 1, 'x')`,
    'a row of value_string belongs',
  ],
  [
    'a key is missing',
    `update resource_index set keys = keys[1 : cardinality(keys) - 1] where rid = ${current}`,
    'keys of',
  ],
  [
    'a key of a past version is missing',
    `update version set keys = keys[2:] where rid = ${current}`,
    'keys of',
  ],
  [
    'an edge is missing',
    `update resource_index set targets = '{}', paths = '{}' where rid = ${current}`,
    'edges of',
  ],
  ['a code is not in code_key', `delete from code_key`, 'lacks code_key'],
  ['a past version is missing', `delete from version where rid = ${current}`, 'versions count up'],
  ['a deletion has no change', `${unlocked} delete from change where interaction = 'd'`, 'one change'],
  [
    'a version has two changes',
    `insert into change select tx + 1, rid, at, patients, version, agent, type, interaction from change where rid = ${current}`,
    'one change',
  ],
  [
    'a change is about another patient',
    `${unlocked} update change set patients = '{1}' where rid = ${current} and version = 1`,
    'one change',
  ],
  [
    'a content is missing',
    `update resource set content = null where rid = ${current}`,
    'a current resource has content',
  ],
  [
    'an index row is missing',
    `delete from resource_index where rid = ${current}`,
    'a current resource has content',
  ],
  ['a time differs', `update resource set updated = updated + '1 s' where rid = ${current}`, 'one change'],
])('it is found when %s', async (_, fault, rule) => {
  const client = await app.pool.connect();
  try {
    await client.query('begin');
    await client.query(fault);
    const found = await inconsistenciesIn(client, app.store.catalog, app.definitions);
    expect(found.join('\n')).toContain(rule);
  } finally {
    await client.query('rollback');
    client.release();
  }
});
