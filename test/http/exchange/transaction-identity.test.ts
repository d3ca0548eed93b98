/** R4 http 3.1.0.11.2: "If any resource identities overlap in steps 1-3, then the transaction SHALL fail." */
import { startApp, type TestApp } from '../app.ts';
import {
  deleting,
  type Entry,
  exchanging,
  fhirPathPatch,
  fresh,
  getting,
  heading,
  identified,
  observation,
  patching,
  patient,
  placeOf,
  posting,
  putting,
  statusesOf,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;

/** Ways to mean the Patient that has this id and this identifier. */
const WAYS: Readonly<Record<string, (id: string) => Entry>> = {
  PUT: (id) => putting(patient(id, { id, gender: 'male' })),
  'conditional PUT': (id) => putting(patient(id, { gender: 'other' }), { url: where(id) }),
  PATCH: (id) => patching(`Patient/${id}`, [{ op: 'add', path: '/active', value: true }]),
  'conditional PATCH': (id) => ({
    resource: fhirPathPatch({ type: 'add', path: 'Patient', name: 'active', value: { valueBoolean: true } }),
    request: { method: 'PATCH', url: where(id) },
  }),
  DELETE: (id) => deleting(`Patient/${id}`),
};
const pairs = Object.keys(WAYS).flatMap((one, index) =>
  Object.keys(WAYS)
    .slice(index)
    .map((other): [string, string] => [one, other]),
);
// A deletion comes first, so that conditions do not meet what it deletes.
const overlapping = pairs.filter(
  (pair) => !(pair.includes('DELETE') && pair.some((way) => /^cond/.test(way))),
);

describe('R4 http 3.1.0.11.2: a resource can only appear in a transaction once (by identity)', () => {
  test.each([
    ...overlapping,
    ...overlapping.filter(([a, b]) => a !== b).map(([a, b]): [string, string] => [b, a]),
  ])('%s and %s of one resource: 400, which names both entries', async (one, other) => {
    const [id, value] = [fresh(), fresh()];
    await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
    const issue = await it.failed(
      [posting(patient(value)), WAYS[one]!(id), getting(`Patient/${id}`), WAYS[other]!(id)],
      400,
    );
    expect(issue.code).toBe('invalid');
    expect(issue.expression?.every((each) => /^Bundle\.entry\[[13]\]/.test(each))).toBe(true);
    const whole = JSON.stringify(issue);
    expect(whole).toContain('Bundle.entry[1]');
    expect(whole).toContain('Bundle.entry[3]');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
    expect(await it.count(where(value))).toBe(0);
  });

  test.each(['PUT', 'conditional PUT', 'PATCH', 'conditional PATCH'])(
    'a POST whose ifNoneExist finds what %s changes: 400, which names both entries',
    async (way) => {
      const id = fresh();
      await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
      const entries = [posting(patient(id), { ifNoneExist: identified(id) }), WAYS[way]!(id)];
      const issue = await it.failed(entries, 400);
      expect(issue.code).toBe('invalid');
      expect(JSON.stringify(issue)).toContain('Bundle.entry[0]');
      expect(JSON.stringify(issue)).toContain('Bundle.entry[1]');
      expect(await it.versions(`Patient/${id}`)).toBe(1);
    },
  );

  test('two conditional updates that would both create what they look for', async () => {
    const value = fresh();
    const put = () => putting(patient(value), { url: where(value) });
    await it.failed([put(), put()], 400);
    expect(await it.count(where(value))).toBe(0);
  });

  test('a conditional update that creates under the id of another entry', async () => {
    const [id, value] = [fresh(), fresh()];
    await it.failed(
      [putting(patient(fresh(), { id })), putting(patient(value, { id }), { url: where(value) })],
      400,
    );
    await app.send('get', `/Patient/${id}`).expect(404);
  });

  test('two deletions of one resource, by conditions', async () => {
    const id = fresh();
    await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
    await it.failed([deleting(`Patient/${id}`), deleting(where(id))], 400);
    await it.failed([deleting(where(id)), deleting(`${where(id)}&_id=${id}`)], 400);
    await it.read(`Patient/${id}`);
  });

  test('also of what is not there yet', async () => {
    const id = fresh();
    await it.failed([putting(patient(fresh(), { id })), putting(patient(fresh(), { id }))], 400);
    await it.failed([putting(patient(fresh(), { id })), deleting(`Patient/${id}`)], 400);
    await app.send('get', `/Patient/${id}`).expect(404);
  });
});

describe('R4 http 3.1.0.11.2: what is no overlap', () => {
  test('GET and HEAD beside a write (step 4)', async () => {
    const id = fresh();
    await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
    const entries = await it.done([
      getting(`Patient/${id}`),
      WAYS.PUT!(id),
      getting(`Patient/${id}`),
      heading(`Patient/${id}`),
      getting(where(id)),
    ]);
    expect(statusesOf(entries)).toEqual(['200', '200', '200', '200', '200']);
  });

  test('one id of two types', async () => {
    const id = fresh();
    const entries = await it.done([
      putting(patient(fresh(), { id })),
      putting({ resourceType: 'Organization', id, name: 'x' }),
    ]);
    expect(statusesOf(entries)).toEqual(['201', '201']);
  });

  test('two POSTs of one body make two', async () => {
    const value = fresh();
    const entries = await it.done([posting(patient(value)), posting(patient(value))]);
    expect(new Set(entries.map(placeOf)).size).toBe(2);
    expect(await it.count(where(value))).toBe(2);
  });

  test('two conditional deletions of nothing', async () => {
    const nothing = deleting(where(fresh()));
    expect(statusesOf(await it.done([nothing, nothing]))).toEqual(['204', '204']);
  });
});

describe('issue: two entries with the same ifNoneExist', () => {
  test('one creates, both answers point to it, and so do references to either', async () => {
    const [value, one, two] = [fresh(), urn(), urn()];
    const entry = (fullUrl: string) => posting(patient(value), { fullUrl, ifNoneExist: identified(value) });
    const [a, b, toA, toB] = await it.done([
      entry(one),
      entry(two),
      posting(observation(one)),
      posting(observation(two)),
    ]);
    expect(statusesOf([a!, b!]).sort()).toEqual(['200', '201']);
    expect(a?.response.location).toBe(b?.response.location);
    expect(b?.response.etag).toBe('W/"1"');
    for (const made of [toA, toB])
      expect((await it.read(placeOf(made!))).subject.reference).toBe(placeOf(a!));
    expect(await it.count(where(value))).toBe(1);
  });

  test('return=representation: both answers have the resource', async () => {
    const value = fresh();
    const entry = posting(patient(value), { ifNoneExist: identified(value) });
    const [one, two] = await it.done([entry, entry], 'representation');
    expect(one?.resource).toEqual(await it.read(placeOf(one!)));
    expect(two?.resource).toEqual(one?.resource);
  });

  test('both find what is there', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const entry = posting(patient(value), { ifNoneExist: identified(value) });
    const entries = await it.done([entry, entry]);
    expect(statusesOf(entries)).toEqual(['200', '200']);
    expect(entries.map(placeOf)).toEqual([`Patient/${id}`, `Patient/${id}`]);
  });

  test('several matches: 412, naming the entry, the condition and how many', async () => {
    const [value, other] = [fresh(), fresh()];
    await it.created(patient(value));
    await it.created(patient(value));
    const issue = await it.failed(
      [posting(patient(other)), posting(patient(value), { ifNoneExist: identified(value) })],
      412,
    );
    expect(issue).toMatchObject({
      code: 'multiple-matches',
      expression: [expect.stringMatching(/^Bundle\.entry\[1\]/)],
    });
    expect(issue.diagnostics).toContain(value);
    expect(issue.diagnostics).toMatch(/\b2\b/);
    expect(await it.count(where(other))).toBe(0);
  });
});

describe('R4 bundle.html#bundle-unique', () => {
  test('two entries with one fullUrl: 400, which names it', async () => {
    const [name, value] = [urn(), fresh()];
    const issue = await it.failed(
      [posting(patient(value), { fullUrl: name }), posting(patient(value), { fullUrl: name })],
      400,
    );
    expect(JSON.stringify(issue)).toMatch(/Bundle\.entry\[1\]/);
    expect(issue.diagnostics).toContain(name);
    expect(await it.count(where(value))).toBe(0);
  });
});

test('R4 resource.html#Meta: security labels stay, in however many entries of one Bundle', async () => {
  const ids = Array.from({ length: 15 }, (_, i) => `labelled-${i}`);
  const label = { system: 'urn:s', code: 'secret' };
  const put = (meta: object) =>
    it.done(ids.map((id) => putting({ resourceType: 'Patient', id, ...meta }, { url: `Patient/${id}` })));
  await put({ meta: { security: [label] } });
  const entries = await put({});
  expect(new Set(statusesOf(entries))).toEqual(new Set(['200']));
  for (const id of ids) expect((await app.send('get', `/Patient/${id}`)).body.meta.security).toEqual([label]);
});
