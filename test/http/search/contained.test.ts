/** Contained resources (R4 search.html#contained): chains look into them, and `_contained` finds them. */
import type { Bundle } from 'fhir/r4.js';
import { concept, encoded, world } from './world.ts';

const order = { status: 'active', intent: 'order', subject: { reference: 'Patient/ann' } };
const medicine = (id: string, code: string, more: object = {}) => ({
  resourceType: 'Medication',
  id,
  code: concept(`http://m|${code}`),
  ...more,
});
const of = (reference: string) => ({ medicationReference: { reference } });

const { app, finds, refuses, ids } = world({
  'Organization/maker': { name: 'Maker' },
  'Patient/ann': { name: [{ family: 'Ann' }] },
  'Medication/plain': { code: concept('http://m|abc') },
  'MedicationRequest/plain': { ...order, ...of('Medication/plain') },
  'MedicationRequest/one': {
    ...order,
    authoredOn: '2020-01-01',
    contained: [
      medicine('m1', 'abc', {
        batch: { lotNumber: '1', expirationDate: '2030-05-01' },
        amount: { numerator: { value: 1.0 }, denominator: { value: 2 } },
        manufacturer: { reference: '#o' },
      }),
      { resourceType: 'Organization', id: 'o', name: 'Inner' },
    ],
    ...of('#m1'),
  },
  'MedicationRequest/two': {
    ...order,
    contained: [
      medicine('m1', 'xyz', { manufacturer: { reference: 'Organization/maker' } }),
      medicine('m2', 'abc', { ingredient: [{ itemReference: { reference: '#m1' } }] }),
    ],
    ...of('#m2'),
  },
  'MedicationStatement/three': {
    status: 'active',
    subject: { reference: 'Patient/ann' },
    contained: [medicine('m1', 'abc'), medicine('m3', 'abc')],
    ...of('#m1'),
    reasonReference: [{ reference: 'Observation/host' }],
  },
  'Observation/host': {
    status: 'final',
    code: concept('http://c|a'),
    subject: { reference: '#pat' },
    effectiveDateTime: '2021-01-01',
    contained: [
      { resourceType: 'Patient', id: 'pat', name: [{ family: 'Inside' }], birthDate: '1950-02-03' },
      {
        resourceType: 'Observation',
        id: 'part',
        status: 'final',
        code: concept('http://c|a'),
        subject: { reference: '#pat' },
        effectiveDateTime: '2019-06-01',
      },
      { resourceType: 'Observation', id: 'other', status: 'final', code: concept('http://c|b') },
    ],
    hasMember: [{ reference: '#part' }, { reference: '#other' }],
  },
  'Observation/outside': {
    status: 'final',
    code: concept('http://c|a'),
    subject: { reference: 'Patient/ann' },
    effectiveDateTime: '2020-01-01',
  },
});

finds(
  'R4 search.html#contained: a chained condition is evaluated inside contained resources',
  'MedicationRequest',
  [
    ['medication.code=abc', 'plain one two'],
    ['medication.code=http://m|abc', 'plain one two'],
    ['medication.code=xyz', ''],
    ['medication.code:not=abc', ''],
    ['medication:Medication.code=abc&authoredon=2020', 'one'],
    ['medication.expiration-date=2030-05', 'one'],
    ['medication.lot-number=1', 'one'],
    ['medication.manufacturer.name=inner', 'one'],
    ['medication.manufacturer.name=maker', ''],
    ['medication.ingredient.code=xyz', 'two'],
    ['medication.ingredient.manufacturer.name=maker', 'two'],
    ['medication.ingredient.manufacturer.name:contains=ake&patient=ann', 'two'],
    ['medication._id=m1', 'one'],
    ['_filter=medication.code eq abc and authoredon eq 2020', 'one'],
  ],
);

finds('R4 search.html#contained: also of patients, and at the other end of _has', 'Observation', [
  ['subject.name=inside', 'host'],
  ['subject:Patient.birthdate=1950', 'host'],
  ['patient.name=inside', 'host'],
  ['subject.name=ann', 'outside'],
  ['subject.name=ann,inside', 'outside host'],
  ['has-member.code=b', 'host'],
]);
finds('R4 search.html#has: with a chain that leads inside', 'Patient', [
  ['_has:MedicationRequest:patient:medication.manufacturer.name=inner', 'ann'],
  ['_has:MedicationRequest:patient:medication.code=none', ''],
]);

finds('R4 search.html#contained: a plain search finds no contained resources', 'Medication', [
  ['code=abc', 'plain'],
  ['code=abc&_contained=false', 'plain'],
  ['code=xyz', ''],
]);
finds('R4 search.html#contained: _contained=true gives what contains them, once', 'Medication', [
  ['_contained=true', 'one two three'],
  ['code=abc&_contained=true', 'one two three'],
  ['code=xyz&_contained=true&_containedType=container', 'two'],
  ['code=http://m|&_contained=true', 'one two three'],
  ['code=nothing&_contained=true', ''],
]);
finds('R4 search.html#contained: _containedType=contained gives themselves', 'Medication', [
  ['code=abc&_contained=true&_containedType=contained', 'm1 m2 m1 m3'],
  ['code=abc&_contained=both&_containedType=contained', 'plain m1 m2 m1 m3'],
  ['code=abc&_contained=both&_containedType=contained&_count=2', 'plain m1 m2 m1 m3'],
  ['code=abc&_contained=both&_containedType=contained&_count=1&_sort=code', 'plain m1 m2 m1 m3'],
  ['code:not=abc&_contained=true&_containedType=contained', 'm1'],
  ['_id=m1&_contained=true&_containedType=contained', 'm1 m1 m1'],
  ['manufacturer=Organization/maker&_contained=true&_containedType=contained', 'm1'],
  ['manufacturer.name=inner&_contained=true&_containedType=contained', 'm1'],
  ['manufacturer.name=maker&_contained=true&_containedType=contained', 'm1'],
  ['lot-number:missing=false&_contained=true&_containedType=contained', 'm1'],
  ['expiration-date=gt2030&_contained=true&_containedType=contained', ''],
  ['expiration-date=ge2030&_contained=true&_containedType=contained', 'm1'],
  ['_has:MedicationRequest:medication:authoredon=2020&_contained=true&_containedType=contained', 'm1'],
  ['_has:Medication:ingredient:code=abc&_contained=true&_containedType=contained', 'm1'],
  ['_list=none&_contained=true', ''],
]);
finds('R4 search.html#contained: a container that matches itself comes once', 'Observation', [
  ['code=a&_contained=both', 'host outside'],
  ['code=b&_contained=both', 'host'],
  ['code=a&_contained=both&_containedType=contained', 'host outside part'],
  ['code=a&_contained=both&_count=1', 'host outside'],
  ['subject.name=inside&_contained=true&_containedType=contained', 'part'],
  ['has-member.code=b&_contained=both', 'host'],
]);

test.each([
  ['code=a&_contained=both&_containedType=contained', 'host outside part'],
  ['code=a&_contained=both&_containedType=contained&_count=1', 'host outside part'],
  ['_contained=both&_containedType=contained&_sort=date&_count=1', 'part outside host other'],
  ['_contained=both&_containedType=contained&_sort=-date&_count=2', 'host outside part other'],
  ['_contained=both&_containedType=contained&_sort=-code,date&_count=1', 'other part outside host'],
  ['_contained=true&_containedType=contained&_sort=_id', 'other part'],
])('R4 search.html#sort: contained resources stand among the others, %s', async (query, expected) => {
  expect(await ids('Observation', query)).toEqual(expected.split(' '));
});

test('pages go back over contained resources', async () => {
  const pages: string[][] = [];
  const follow = async (url: string, relation: string): Promise<string> => {
    let last = url;
    for (let at: string | undefined = url; at; ) {
      last = at;
      const page: Bundle = (await app().send('get', at).expect(200)).body;
      pages.push((page.entry ?? []).map(({ fullUrl = '' }) => fullUrl.slice(app().base.length + 1)));
      at = page.link?.find((link) => link.relation === relation)?.url.slice(app().base.length);
    }
    return last;
  };
  const last = await follow('/Medication?code=abc&_contained=both&_containedType=contained&_count=1', 'next');
  const forwards = pages.splice(0).filter((page) => page.length > 0);
  await follow(last, 'previous');
  expect(pages.filter((page) => page.length > 0)).toEqual(forwards.reverse());
  expect(forwards).toHaveLength(5);
});

describe('R4 search.html#contained: entries', () => {
  const entries = async (query: string) => {
    const { body } = await app()
      .send('get', `/Medication?${encoded(query)}`)
      .expect(200);
    return (body as Bundle).entry ?? [];
  };

  test('a container is shown as it is', async () => {
    const [entry] = await entries('manufacturer.name=inner&_contained=true');
    expect(entry?.fullUrl).toBe(`${app().base}/MedicationRequest/one`);
    expect(entry?.search).toEqual({ mode: 'match' });
    expect(entry?.resource).toMatchObject({ resourceType: 'MedicationRequest', id: 'one' });
    expect(entry?.resource?.meta?.versionId).toBe('1');
  });

  test('a contained resource has its own id after that of its container, and no version', async () => {
    const query = '/Medication?lot-number=1&_contained=true&_containedType=contained';
    const { text } = await app().send('get', query).expect(200);
    expect(text).toContain(`"fullUrl":"${app().base}/MedicationRequest/one#m1"`);
    const [entry] = (JSON.parse(text) as Bundle).entry ?? [];
    expect(entry?.search).toEqual({ mode: 'match' });
    expect(entry?.resource).toMatchObject({ resourceType: 'Medication', id: 'm1' });
    expect(entry?.resource?.meta).toBeUndefined();
  });

  test('_elements and _summary are of the contained resource', async () => {
    const base = 'lot-number=1&_contained=true&_containedType=contained';
    const [some] = await entries(`${base}&_elements=manufacturer`);
    expect(some?.resource).toEqual({
      resourceType: 'Medication',
      meta: expect.anything(),
      id: 'm1',
      manufacturer: { reference: '#o' },
    });
    const [short] = await entries(`${base}&_summary=true`);
    expect(short?.resource).toMatchObject({ id: 'm1', code: expect.anything() });
  });
});

test('R4 references.html#contained: an update changes what is found, a deletion ends it', async () => {
  const put = (contained: object[]) =>
    app()
      .send('put', '/Basic/box')
      .type('application/fhir+json')
      .send({ resourceType: 'Basic', id: 'box', code: { text: 'x' }, contained });
  const found = () => ids('Device', '_contained=true&_containedType=contained');
  await put([{ resourceType: 'Device', id: 'd1' }]).expect(201);
  expect(await found()).toEqual(['d1']);
  await put([{ resourceType: 'Device', id: 'd2' }]).expect(200);
  expect(await found()).toEqual(['d2']);
  await put([]).expect((response) => expect(response.status).toBeLessThan(500));
  await app().send('delete', '/Basic/box').expect(204);
  expect(await found()).toEqual([]);
});

test('numbers of contained resources keep their digits', async () => {
  const observation = `{"resourceType":"Observation","id":"v","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50}}`;
  await app()
    .send('put', '/Basic/digits')
    .type('application/fhir+json')
    .send(`{"resourceType":"Basic","id":"digits","code":{"text":"x"},"contained":[${observation}]}`)
    .expect(201);
  const { text } = await app().send(
    'get',
    '/Observation?value-quantity=1.5&_contained=true&_containedType=contained',
  );
  expect(text).toContain(observation);
});

describe('contained resources are seen by those who may search for what contains them', () => {
  const asked = async (scope: string, query: string) => {
    const token = await app().app.issueToken({ scope, client: 'test', minutes: 5 });
    return app().send('get', `/${query}`).set('Authorization', `Bearer ${token}`);
  };

  test.each([
    ['system/Medication.rs', 'Medication?code=abc&_contained=true&_containedType=contained', 0],
    ['system/Medication.rs', 'Medication?code=abc&_contained=both&_containedType=contained', 1],
    ['system/Medication.rs system/MedicationStatement.rs', 'Medication?code=abc&_contained=true', 1],
    ['system/Medication.rs system/MedicationRequest.rs', 'Medication?code=abc&_contained=true', 2],
    ['system/Medication.rs system/MedicationRequest.rs', 'MedicationRequest?medication.code=abc', 3],
  ])('%s: %s finds %i', async (scope, query, count) => {
    const { status, body } = await asked(scope, query);
    expect([status, body.entry?.length ?? 0]).toEqual([200, count]);
  });

  test.each([
    ['system/MedicationRequest.rs', 'Medication?code=abc&_contained=true'],
    ['system/MedicationRequest.rs', 'MedicationRequest?medication.code=abc'],
    ['system/MedicationRequest.rs system/Medication.rs', 'MedicationRequest?medication.manufacturer.name=x'],
  ])('%s: %s is 403', async (scope, query) => {
    expect((await asked(scope, query)).status).toBe(403);
  });
});

refuses('R4 search.html#contained: what is not answered is told', 'Medication', [
  ['_contained=true&_include=Medication:manufacturer', 'not-supported', /ask twice/],
  ['_contained=true&_elements=code', 'not-supported', /_containedType=contained/],
]);

test.each([
  ['/?_type=Medication,Patient&_contained=true', /one type/],
  ['/?_contained=true', /one type/],
  ['/Patient/ann/Medication?_contained=true', /whole resources/],
])('%s is 400', async (path, says) => {
  const { body } = await app().send('get', path).expect(400);
  expect(body.issue[0].diagnostics).toMatch(says);
});
