/** What a scope does not say cannot be done by any path; what is revoked ends with the next request. */
import { Readable } from 'node:stream';
import type { Letter } from '../../src/access/access.ts';
import type { Caller } from '../../src/records/records.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { issueToken } from '../../src/store/tokens.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
  await it.records.update(it.operator, { type: 'Patient', id: 'p' }, '{"resourceType":"Patient","id":"p"}');
  await it.records.update(
    it.operator,
    { type: 'Binary', id: 'b' },
    '{"resourceType":"Binary","id":"b","contentType":"text/plain"}',
  );
});
afterAll(() => it.close());

async function callerOf(scope: string): Promise<{ caller: Caller; token: string }> {
  const token = await issueToken(it.store.pool, { scope, client: 'test', seconds: 60 });
  return { token, caller: (await it.records.authenticate(token)) as Caller };
}

const patient = '{"resourceType":"Patient"}';
const withId = '{"resourceType":"Patient","id":"p"}';
const bytes = () => ({ contentType: 'text/plain', stream: Readable.from([Buffer.from('x')]) });

/** Each interaction, and the letter that it needs. */
const interactions: [string, Letter, (caller: Caller) => Promise<unknown>][] = [
  ['create', 'c', (caller) => it.records.create(caller, 'Patient', patient)],
  ['create of a Binary', 'c', (caller) => it.records.writeBinary(caller, undefined, bytes())],
  ['read', 'r', (caller) => it.records.read(caller, 'Patient', 'p')],
  ['vread', 'r', (caller) => it.records.vread(caller, 'Patient', 'p', '1')],
  [
    'history of an instance',
    'r',
    (caller) => it.records.history(caller, { type: 'Patient', id: 'p', count: 1 }),
  ],
  ['update', 'u', (caller) => it.records.update(caller, { type: 'Patient', id: 'p' }, withId)],
  ['update of a Binary', 'u', (caller) => it.records.writeBinary(caller, 'b', bytes())],
  ['delete', 'd', (caller) => it.records.remove(caller, { type: 'Patient', id: 'nobody' })],
  [
    'search',
    's',
    (caller) => it.records.search(caller, parseSearch(it.definitions, 'Patient', [], BASE_URL)),
  ],
  ['history of a type', 's', (caller) => it.records.history(caller, { type: 'Patient', count: 1 })],
  ['history of the system', 's', (caller) => it.records.history(caller, { count: 1 })],
  [
    'POST in a transaction',
    'c',
    (caller) => it.records.transaction(caller, [{ method: 'POST', type: 'Patient', body: patient }]),
  ],
  [
    'DELETE in a transaction',
    'd',
    (caller) => it.records.transaction(caller, [{ method: 'DELETE', type: 'Patient', id: 'nobody' }]),
  ],
];

test.each(interactions)('%s needs the letter %s', async (_name, letter, interact) => {
  const others = 'cruds'.replace(letter, '');
  const { caller } = await callerOf(`system/*.${others}`);
  await expect(interact(caller)).rejects.toMatchObject({ status: 403 });
  const { caller: may } = await callerOf(`system/*.${letter}`);
  await interact(may).catch((fault) => expect(fault).not.toMatchObject({ status: 403 }));
});

test('a scope for one type says nothing of others', async () => {
  const { caller } = await callerOf('system/Observation.cruds');
  for (const [, , interact] of interactions.filter(([name]) => name !== 'history of the system'))
    await expect(interact(caller)).rejects.toMatchObject({ status: 403 });
  const { entries } = await it.records.history(caller, { count: 1000 });
  expect(entries).toEqual([]);
});

test('update as create, and PUT in a transaction, need leave to create', async () => {
  const { caller } = await callerOf('system/Patient.u');
  const fresh = '{"resourceType":"Patient","id":"fresh"}';
  await expect(it.records.update(caller, { type: 'Patient', id: 'fresh' }, fresh)).rejects.toMatchObject({
    status: 403,
  });
  await expect(
    it.records.transaction(caller, [{ method: 'PUT', type: 'Patient', id: 'fresh', body: fresh }]),
  ).rejects.toMatchObject({ status: 403 });
  await expect(it.records.read(it.operator, 'Patient', 'fresh')).rejects.toMatchObject({ status: 404 });
});

test('the resources of a List are not told to who may not read Lists', async () => {
  const { caller } = await callerOf('system/Patient.rs');
  await expect(it.records.history(caller, { type: 'Patient', count: 1, list: 'l' })).rejects.toMatchObject({
    status: 403,
  });
});

describe('decision 8: nothing stale decides', () => {
  const revoke = async (sql: string, token: string): Promise<void> => {
    await it.store.pool.query(sql, [
      (await import('node:crypto')).createHash('sha256').update(token).digest(),
    ]);
    await it.store.pool.query('update epoch set value = value + 1');
  };

  test.each(interactions)(
    '%s with a token revoked elsewhere is 401 at once',
    async (_name, _letter, interact) => {
      const { caller, token } = await callerOf('system/*.cruds');
      await revoke('delete from token where hash = $1', token);
      await expect(interact(caller)).rejects.toMatchObject({ status: 401 });
      expect(await it.records.authenticate(token)).toBeUndefined();
    },
  );

  test.each(interactions)(
    '%s with less scope than before is judged by the new one',
    async (_name, _letter, interact) => {
      const { caller, token } = await callerOf('system/*.cruds');
      await revoke(`update token set scope = 'system/Basic.r' where hash = $1`, token);
      await expect(interact(caller)).rejects.toMatchObject({ status: 403 });
    },
  );
});

test('leave that was given since holds at once, too', async () => {
  const { caller, token } = await callerOf('system/Basic.r');
  await expect(it.records.read(caller, 'Patient', 'p')).rejects.toMatchObject({ status: 403 });
  await it.store.pool.query(`update token set scope = 'system/*.r' where number = $1`, [caller.agent]);
  await it.store.pool.query('update epoch set value = value + 1');
  const known = (await it.records.authenticate(token)) as Caller;
  expect(await it.records.read(known, 'Patient', 'p')).toMatchObject({ id: 'p' });
});

test.each([
  '',
  'system/*',
  'system/*.sr',
  'system/*.',
  'patient/*.r',
  'system/Nothing.r',
  'user/Patient.read',
  'system/*.cruds x',
])('the scope %j is refused', async (scope) => {
  const { readScopes } = await import('../../src/access/access.ts');
  expect(() => readScopes(scope, it.definitions.isResourceType)).toThrow();
});

test('tokens are kept as hashes only', async () => {
  const { token } = await callerOf('system/*.r');
  const { rows } = await it.store.pool.query('select t::text as row from token t');
  for (const { row } of rows) expect(row).not.toContain(token);
  expect(Buffer.from(token, 'base64url')).toHaveLength(32);
});
