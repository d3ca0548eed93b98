/** Several processes over one database behave as one. */
import type { Refusal } from '../../src/fhir/outcome.ts';
import type { Caller } from '../../src/records/records.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { issueToken } from '../../src/store/tokens.ts';
import { inconsistencies } from '../support/consistency.ts';
import { BASE_URL, openBeside, openTestRecords, type TestRecords } from '../support/records.ts';

let one: TestRecords;
let other: TestRecords;
beforeAll(async () => {
  one = await openTestRecords();
  other = await openBeside(one);
});
afterAll(async () => {
  await other.close();
  await one.close();
});

const patient = (id: string, more = ''): string => `{"resourceType":"Patient","id":"${id}"${more}}`;
const both = () => [one, other];

test('R4 http.html#concurrency: of writers in two processes with one If-Match exactly one wins', async () => {
  let { version } = await one.records.update(
    one.operator,
    { type: 'Patient', id: 'contended' },
    patient('contended'),
  );
  for (let round = 0; round < 20; round++) {
    const outcomes = await Promise.allSettled(
      [...both(), ...both(), ...both()].map(({ records, operator }) =>
        records.update(
          operator,
          { type: 'Patient', id: 'contended' },
          patient('contended', `,"active":true`),
          { ifMatch: version },
        ),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect((outcome.reason as Refusal).status).toBe(412);
    version += 1;
  }
});

test('updates of the same resources, without conditions, all become versions, none is lost', async () => {
  const ids = ['u-a', 'u-b', 'u-c'];
  await Promise.all(
    Array.from({ length: 60 }, (_, i) => {
      const { records, operator } = both()[i % 2] as TestRecords;
      const id = ids[i % 3] as string;
      return records.update(operator, { type: 'Patient', id }, patient(id, `,"multipleBirthInteger":${i}`));
    }),
  );
  for (const id of ids) {
    const { version } = await other.records.read(other.operator, 'Patient', id);
    expect(version).toBe(20);
    const { entries } = await one.records.history(one.operator, { type: 'Patient', id, count: 100 });
    const numbers = entries.map(({ content }) => JSON.parse(content).multipleBirthInteger);
    expect(new Set(numbers).size).toBe(20);
    const times = entries.map(({ updated }) => updated);
    expect(times).toEqual([...times].sort().reverse());
  }
});

test('deletions, revivals and transactions from both sides leave everything in agreement', async () => {
  const ids = Array.from({ length: 6 }, (_, i) => `mixed-${i}`);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 90 }, (_, i) => {
      const { records, operator } = both()[i % 2] as TestRecords;
      const id = ids[(i * 7) % 6] as string;
      const next = ids[(i * 5 + 1) % 6] as string;
      if (i % 5 === 0) return records.remove(operator, { type: 'Patient', id });
      const link = `,"link":[{"other":{"reference":"Patient/${next}"},"type":"seealso"}]`;
      if (i % 3 === 0 && id !== next)
        return records.transaction(operator, [
          { method: 'PUT', type: 'Patient', id, body: patient(id, link) },
          { method: i % 2 ? 'DELETE' : 'PUT', type: 'Patient', id: next, body: patient(next) } as never,
        ]);
      return records.update(operator, { type: 'Patient', id }, patient(id, link));
    }),
  );
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
  expect(await inconsistencies(one.store.pool, one.definitions, { baseUrl: BASE_URL })).toEqual([]);
});

test('what one has written the other reads and finds at once', async () => {
  for (let i = 0; i < 20; i++) {
    const [writer, reader] = (i % 2 ? [one, other] : [other, one]) as [TestRecords, TestRecords];
    const { id } = await writer.records.create(
      writer.operator,
      'Patient',
      `{"resourceType":"Patient","name":[{"family":"Seen${i}x"}]}`,
    );
    expect(await reader.records.read(reader.operator, 'Patient', id)).toMatchObject({ version: 1 });
    const request = parseSearch(reader.definitions, 'Patient', [['name', `Seen${i}x`]], BASE_URL);
    expect((await reader.records.search(reader.operator, request)).entries.map((entry) => entry.id)).toEqual([
      id,
    ]);
  }
});

test('a code that one has met for the first time is found by its code alone at the other', async () => {
  await one.records.create(
    one.operator,
    'Observation',
    '{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://s","code":"new-here"}]}}',
  );
  const request = parseSearch(other.definitions, 'Observation', [['code', 'new-here']], BASE_URL);
  expect((await other.records.search(other.operator, request)).entries).toHaveLength(1);
});

test('a token revoked at one is refused at the other, which had just let it in', async () => {
  const token = await issueToken(one.store.pool, { scope: 'system/*.r', client: 'test', seconds: 60 });
  const caller = (await other.records.authenticate(token)) as Caller;
  await one.records.update(one.operator, { type: 'Patient', id: 'p' }, patient('p'));
  await other.records.read(caller, 'Patient', 'p');
  await one.store.pool.query('delete from token where number = $1', [caller.agent]);
  await one.store.pool.query('update epoch set value = value + 1');
  const again = (await other.records.authenticate(token)) as Caller;
  await expect(other.records.read(again, 'Patient', 'p')).rejects.toMatchObject({ status: 401 });
});

describe('REFERENCES=check', () => {
  let checking: TestRecords;
  beforeAll(async () => {
    checking = await openBeside(one, { checkReferences: true });
    await one.records.update(one.operator, { type: 'Patient', id: 'there' }, patient('there'));
  });
  afterAll(() => checking.close());

  const observation = (reference: string): string =>
    `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":${reference}}`;
  const missing = { status: 422, issues: [{ expression: 'Observation.subject' }] };

  test.each([
    ['{"reference":"Patient/there"}', undefined],
    ['{"reference":"http://elsewhere.example/Patient/x"}', undefined],
    ['{"identifier":{"system":"urn:mrn","value":"1"}}', undefined],
    ['{"reference":"Patient/nowhere"}', missing],
    [`{"reference":"${BASE_URL}/Patient/nowhere"}`, missing],
  ])('%s', async (reference, refusal) => {
    const { records, operator } = checking;
    const writes = [
      () => records.create(operator, 'Observation', observation(reference)),
      () => records.update(operator, { type: 'Observation', id: 'o' }, observation(reference)),
    ];
    for (const write of writes)
      if (refusal) await expect(write()).rejects.toMatchObject(refusal);
      else await write();
    const entry = { method: 'POST' as const, type: 'Observation', body: observation(reference) };
    const together = records.transaction(operator, [
      { method: 'POST', type: 'Patient', body: patient('x') },
      entry,
    ]);
    if (!refusal) await together;
    else
      await expect(together).rejects.toMatchObject({
        status: 422,
        issues: [{ expression: 'Bundle.entry[1].resource.subject' }],
      });
  });

  test('a target that was deleted is not there; one in the same transaction is', async () => {
    const { records, operator } = checking;
    await one.records.update(one.operator, { type: 'Patient', id: 'leaving' }, patient('leaving'));
    await one.records.remove(one.operator, { type: 'Patient', id: 'leaving' });
    await expect(
      records.create(operator, 'Observation', observation('{"reference":"Patient/leaving"}')),
    ).rejects.toMatchObject(missing);
    await records.transaction(operator, [
      { method: 'POST', type: 'Observation', body: observation('{"reference":"urn:uuid:1"}') },
      { method: 'POST', type: 'Patient', fullUrl: 'urn:uuid:1', body: '{"resourceType":"Patient"}' },
    ]);
  });

  test('nothing of a refused transaction is written', async () => {
    const { records, operator } = checking;
    await expect(
      records.transaction(operator, [
        { method: 'PUT', type: 'Patient', id: 'half', body: patient('half') },
        { method: 'POST', type: 'Observation', body: observation('{"reference":"Patient/nowhere"}') },
      ]),
    ).rejects.toMatchObject({ status: 422 });
    await expect(records.read(operator, 'Patient', 'half')).rejects.toMatchObject({ status: 404 });
  });
});
