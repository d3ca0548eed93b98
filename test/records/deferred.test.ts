/** What a job writes is written once, and its job knows whether it was. */
import type { Claim, Claimed } from '../../src/jobs/job.ts';
import { openJobs } from '../../src/jobs/jobs.ts';
import { claimJob } from '../../src/jobs/queue.ts';
import type { Caller, Records } from '../../src/records/records.ts';
import { issueToken } from '../../src/store/tokens.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';

let test_: TestRecords;
let agent: number;
const PATIENT = '{"resourceType":"Patient","id":"a"}';

beforeAll(async () => {
  test_ = await openTestRecords();
  const token = await issueToken(test_.store.pool, { scope: 'system/*.cruds', client: 'test', seconds: 600 });
  agent = ((await test_.records.authenticate(token)) as Caller).agent;
});
afterAll(() => test_.close());

/** The caller of a job that this process has begun. */
async function begun(): Promise<Caller & { readonly job: Claim }> {
  const { store, records } = test_;
  await store.pool.query('delete from job');
  await openJobs(store.pool).add(agent, { method: 'PUT', url: '/fhir', headers: {} }, Buffer.alloc(0));
  const job = (await claimJob(store.pool)) as Claimed;
  return (await records.deferred.callerOf(job, agent)) as Caller & { readonly job: Claim };
}

const markNow = async () => (await test_.store.pool.query('select mark from job')).rows[0]?.mark;

type Write = (records: Records, caller: Caller) => Promise<unknown>;

const WRITES: readonly (readonly [string, Write, string | null])[] = [
  ['create', (records, caller) => records.create(caller, 'Patient', PATIENT), 'd'],
  ['update', (records, caller) => records.update(caller, { type: 'Patient', id: 'a' }, PATIENT), 'd'],
  ['delete', (records, caller) => records.remove(caller, { type: 'Patient', id: 'a' }), 'd'],
  [
    'transaction',
    (records, caller) =>
      records.transaction(caller, [
        { method: 'POST', type: 'Patient', body: PATIENT },
        { method: 'POST', type: 'Patient', body: PATIENT },
      ]),
    'd',
  ],
  [
    'an entry of a batch',
    (records, caller) => records.carryOut(caller, { method: 'POST', type: 'Patient', body: PATIENT }),
    'b',
  ],
  ['a Binary', (records, caller) => records.create(caller, 'Binary', BINARY), 'd'],
  ['a deletion of nothing', (records, caller) => records.remove(caller, { type: 'Patient', id: 'b' }), null],
  ['search', (records, caller) => records.history(caller, { count: 1 }), null],
];
const BINARY = '{"resourceType":"Binary","contentType":"text/plain","data":"aGVsbG8="}';

test.each(WRITES)('%s is noted with what it writes, or not at all', async (_, write, mark) => {
  await write(test_.records, await begun());
  expect(await markNow()).toBe(mark);
});

test.each(WRITES.filter(([, , mark]) => mark))('%s: a job that is lost writes nothing', async (_, write) => {
  const { store, records } = test_;
  await records.update(test_.operator, { type: 'Patient', id: 'a' }, PATIENT);
  const written = async () => (await store.pool.query('select count(*) from change')).rows[0].count;
  const caller = await begun();
  await store.pool.query('update job set attempt = attempt + 1');
  const before = await written();
  await expect(write(records, caller)).rejects.toMatchObject({ status: 409 });
  expect(await written()).toBe(before);
  expect(await markNow()).toBeNull();
});

test('its caller has the rights of now', async () => {
  const { store, records } = test_;
  const caller = await begun();
  await store.pool.query(`update token set scope = 'system/Patient.r' where number = ${agent}`);
  await store.pool.query('update epoch set value = value + 1');
  await expect(records.create(caller, 'Patient', PATIENT)).rejects.toMatchObject({ status: 403 });
  await store.pool.query(`delete from token where number = ${agent}`);
  await store.pool.query('update epoch set value = value + 1');
  await expect(records.read(caller, 'Patient', 'a')).rejects.toMatchObject({ status: 401 });
  expect(await records.deferred.callerOf(caller.job, agent)).toBeUndefined();
});
