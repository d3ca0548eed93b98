/** Writes at the edges: labels, conditions, Binaries, resources that are made to be costly. */
import { Readable } from 'node:stream';
import type { Caller, Entry } from '../../src/records/records.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { issueToken } from '../../src/store/tokens.ts';
import { inconsistencies } from '../support/consistency.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

const patient = (id: string, more = ''): string => `{"resourceType":"Patient","id":"${id}"${more}}`;
const label = (code: string) => `,"meta":{"security":[{"system":"http://labels","code":"${code}"}]}`;

async function found(type: string, query: string): Promise<string[]> {
  const request = parseSearch(it.definitions, type, new URLSearchParams(query), BASE_URL);
  return (await it.records.search(it.operator, request)).entries.map(({ id }) => id);
}

describe('R4 resource.html#Meta: security labels stay', () => {
  const labelsOf = async (id: string): Promise<string[]> => {
    const { content } = await it.records.read(it.operator, 'Patient', id);
    return (JSON.parse(content).meta?.security ?? []).map(({ code }: { code: string }) => code);
  };

  test('an update without them, or with others, keeps them, where they are found by too', async () => {
    const { records, operator } = it;
    await records.update(operator, { type: 'Patient', id: 'l' }, patient('l', label('R')));
    await records.update(operator, { type: 'Patient', id: 'l' }, patient('l'));
    expect(await labelsOf('l')).toEqual(['R']);
    await records.update(operator, { type: 'Patient', id: 'l' }, patient('l', label('V')));
    expect(await labelsOf('l')).toEqual(['V', 'R']);
    expect(await found('Patient', '_security=http://labels|R')).toEqual(['l']);
    expect(await found('Patient', '_security=V')).toEqual(['l']);
    // the same again loses nothing and adds nothing
    await records.update(operator, { type: 'Patient', id: 'l' }, patient('l', label('R')));
    expect((await labelsOf('l')).sort()).toEqual(['R', 'V']);
  });

  test('in a transaction, too', async () => {
    const { records, operator } = it;
    await records.update(operator, { type: 'Patient', id: 'lt' }, patient('lt', label('N')));
    await records.transaction(operator, [
      { method: 'PUT', type: 'Patient', id: 'lt', body: patient('lt', ',"active":true') },
    ]);
    expect(await labelsOf('lt')).toEqual(['N']);
    expect(await found('Patient', '_security=http://labels|N')).toEqual(['lt']);
  });

  test('a deletion ends them: what is revived has its own', async () => {
    const { records, operator } = it;
    await records.update(operator, { type: 'Patient', id: 'lr' }, patient('lr', label('R')));
    await records.remove(operator, { type: 'Patient', id: 'lr' });
    await records.update(operator, { type: 'Patient', id: 'lr' }, patient('lr'));
    expect(await labelsOf('lr')).toEqual([]);
  });
});

describe('R4 http.html#concurrency: a version is expected of what is not there', () => {
  test.each([3, -1])('version %d', async (ifMatch) => {
    const { records, operator } = it;
    await records.create(
      operator,
      'Observation',
      '{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/referred"}}',
    );
    for (const id of ['unheard', 'referred']) {
      const body = patient(id);
      await expect(
        records.update(operator, { type: 'Patient', id }, body, { ifMatch }),
      ).rejects.toMatchObject({
        status: 412,
      });
      await expect(records.remove(operator, { type: 'Patient', id }, { ifMatch })).rejects.toMatchObject({
        status: 412,
      });
      const entries: Entry[] = [
        { method: 'PUT', type: 'Patient', id, body, ifMatch },
        { method: 'DELETE', type: 'Patient', id, ifMatch },
      ];
      for (const entry of entries)
        await expect(records.transaction(operator, [entry])).rejects.toMatchObject({
          status: 412,
          issues: [{ expression: expect.stringMatching(/^Bundle\.entry\[0\]/) }],
        });
      await expect(records.read(operator, 'Patient', id)).rejects.toMatchObject({ status: 404 });
    }
  });
});

test('R4 bundle.html bdl-7: two entries with one fullUrl are refused', async () => {
  const entry = {
    method: 'POST' as const,
    type: 'Patient',
    fullUrl: 'urn:uuid:1',
    body: '{"resourceType":"Patient"}',
  };
  await expect(it.records.transaction(it.operator, [entry, entry])).rejects.toMatchObject({
    status: 400,
    issues: [{ expression: 'Bundle.entry[1].fullUrl' }],
  });
});

describe('R4 binary.html', () => {
  const binary = (more: string): string => `{"resourceType":"Binary","contentType":"text/plain"${more}}`;
  const blobs = async (): Promise<number> =>
    Number((await it.store.pool.query('select count(*) from blob')).rows[0].count);

  test('who may not, and what is not sound, leaves no bytes behind', async () => {
    const token = await issueToken(it.store.pool, { scope: 'system/Patient.r', client: 'test', seconds: 60 });
    const caller = (await it.records.authenticate(token)) as Caller;
    const before = await blobs();
    const body = binary(',"data":"aGVsbG8="');
    await expect(it.records.create(caller, 'Binary', body)).rejects.toMatchObject({ status: 403 });
    await expect(it.records.update(caller, { type: 'Binary', id: 'b' }, body)).rejects.toMatchObject({
      status: 403,
    });
    const { operator } = it;
    for (const bad of [
      binary(',"data":"%%%"'),
      binary(',"data":"aGVsbG8"'),
      binary(',"data":"aGVsbG8=","x":1'),
    ])
      await expect(it.records.create(operator, 'Binary', bad)).rejects.toMatchObject({ status: 400 });
    await expect(it.records.update(operator, { type: 'Binary', id: 'b' }, body)).rejects.toMatchObject({
      status: 400,
    });
    await expect(
      it.records.transaction(operator, [{ method: 'POST', type: 'Binary', body: binary(',"data":"%%%"') }]),
    ).rejects.toMatchObject({ status: 400 });
    expect(await blobs()).toBe(before);
  });

  test('the rest of it keeps its digits', async () => {
    const extension = '{"url":"http://e","valueDecimal":1.00}';
    const { id } = await it.records.create(
      it.operator,
      'Binary',
      `{"resourceType":"Binary","meta":{"extension":[${extension}]},"contentType":"text/plain","data":"aGVsbG8="}`,
    );
    expect((await it.records.read(it.operator, 'Binary', id)).content).toContain('1.00');
  });

  test('an epoch that passes while bytes come in does not lose them', async () => {
    const token = await issueToken(it.store.pool, { scope: 'system/*.cruds', client: 'test', seconds: 60 });
    const caller = (await it.records.authenticate(token)) as Caller;
    const stream = Readable.from(
      (async function* () {
        yield Buffer.from('first ');
        await it.store.pool.query('update epoch set value = value + 1');
        yield Buffer.from('second');
      })(),
    );
    const { id, blob } = await it.records.writeBinary(caller, undefined, {
      contentType: 'text/plain',
      stream,
    });
    const { size, stream: bytes } = await it.records.openBlob(blob as string);
    bytes.destroy();
    expect(size).toBe(12);
    expect((await it.records.read(it.operator, 'Binary', id)).version).toBe(1);
  });

  test('decision 10: the first claim holds, and a refused write claims nothing', async () => {
    const { records, operator } = it;
    const { id } = await records.create(operator, 'Binary', binary(''));
    const media = (name: string): string =>
      `{"resourceType":"Media","id":"${name}","status":"completed","content":{"url":"Binary/${id}"}}`;
    await records.update(
      operator,
      { type: 'Media', id: 'other' },
      media('other').replace(`Binary/${id}`, 'http://e/x'),
    );
    await expect(
      records.update(operator, { type: 'Media', id: 'other' }, media('other'), { ifMatch: 7 }),
    ).rejects.toMatchObject({
      status: 412,
    });
    const owners = async (): Promise<string[]> =>
      (
        await it.store.pool.query(
          `select o.id from binary_owner b join resource r on r.rid = b.rid join resource o on o.rid = b.owner where r.id = $1`,
          [id],
        )
      ).rows.map((row) => row.id);
    expect(await owners()).toEqual([]);
    await records.update(operator, { type: 'Media', id: 'first' }, media('first'));
    await records.update(operator, { type: 'Media', id: 'other' }, media('other'));
    expect(await owners()).toEqual(['first']);
  });
});

test('after all of it index, edges, feed and contents agree', async () => {
  expect(await inconsistencies(it.store.pool, it.definitions, { baseUrl: BASE_URL })).toEqual([]);
});

describe('resources that are made to be costly are bounded in time', () => {
  const quick = async (body: string, type: string): Promise<unknown> => {
    const started = performance.now();
    const outcome = await it.records.create(it.operator, type, body).catch((fault) => fault);
    expect(performance.now() - started).toBeLessThan(8000);
    return outcome;
  };
  const codings = (count: number, from = ''): string =>
    Array.from({ length: count }, (_, i) => `{"code":"${from}${i}"}`).join();

  test('a component with thousands of codes and thousands of values', async () => {
    const component = `{"code":{"coding":[${codings(4200)}]},"valueCodeableConcept":{"coding":[${codings(4200)}]}}`;
    const body = `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[${component}]}`;
    expect(await quick(body, 'Observation')).toMatchObject({ status: 422, issues: [{ code: 'too-costly' }] });
  });

  test('forty thousand codes', async () => {
    const body = `{"resourceType":"Observation","status":"final","code":{"coding":[${codings(40_000)}]}}`;
    expect(await quick(body, 'Observation')).toMatchObject({ status: 422 });
  });

  test('a Group of twenty thousand members, and a Patient of fifty thousand names, are taken', async () => {
    const members = Array.from(
      { length: 20_000 },
      (_, i) => `{"entity":{"reference":"Patient/m${i}"}}`,
    ).join();
    expect(
      await quick(`{"resourceType":"Group","type":"person","actual":true,"member":[${members}]}`, 'Group'),
    ).toMatchObject({ version: 1 });
    const given = Array.from({ length: 50_000 }, (_, i) => `"n${i}"`).join();
    expect(await quick(`{"resourceType":"Patient","name":[{"given":[${given}]}]}`, 'Patient')).toMatchObject({
      version: 1,
    });
  });
});
