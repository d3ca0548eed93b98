import { setTimeout as sleep } from 'node:timers/promises';
import { inconsistencies } from '../support/consistency.ts';
import { startApp, type TestApp } from './app.ts';

let a: TestApp;
let b: TestApp;

beforeAll(async () => {
  a = await startApp();
  b = await beside(a);
});
afterAll(async () => {
  await b.app.close();
  await a.close();
});

/** Another server over the same database. */
async function beside(first: TestApp): Promise<TestApp> {
  return startApp({}, first.database);
}

const EXTENSION = 'https://example.org/favourite';

const parameter = (code: string, type: string, base: string, expression: string, more: object = {}) => ({
  resourceType: 'SearchParameter',
  url: `https://example.org/SearchParameter/${code}`,
  name: code.replaceAll('-', '_'),
  status: 'active',
  description: code,
  code,
  base: [base],
  type,
  expression,
  ...more,
});

async function put(app: TestApp, resource: { resourceType: string; id: string } & object) {
  return app.send('put', `/${resource.resourceType}/${resource.id}`).send(resource);
}

/** Ids of what a search finds, sorted. */
async function found(app: TestApp, query: string): Promise<string[]> {
  const { status, body } = await app.send('get', `/${query}`);
  if (status !== 200) throw new Error(JSON.stringify(body));
  return ids(body).sort();
}

const ids = (body: { entry?: { resource: { id: string } }[] }): string[] =>
  (body.entry ?? []).map(({ resource }) => resource.id);

/** Posts and waits until it answers. */
async function define(app: TestApp, resource: object): Promise<string> {
  const { status, body } = await app.send('post', '/SearchParameter').send(resource);
  expect([status, body.issue]).toEqual([201, undefined]);
  await settled(app);
  return body.id;
}

/** Until nothing is indexed any more. */
async function settled({ app }: TestApp): Promise<void> {
  for (let n = 0; n < 600; n++) {
    const { rows } = await app.pool.query('select from reindex where finished is null');
    if (rows.length === 0) return;
    await sleep(50);
  }
  throw new Error('it is indexed for too long');
}

const consistent = async () =>
  expect(await inconsistencies(a.app.pool, a.app.definitions, { baseUrl: a.base })).toEqual([]);

describe('a posted SearchParameter of each type', () => {
  beforeAll(async () => {
    await put(a, { resourceType: 'Organization', id: 'north', name: 'North Clinic' } as never);
    await put(a, { resourceType: 'Organization', id: 'south', name: 'South Clinic' } as never);
    const extended = (id: string, ...values: object[]) =>
      put(a, {
        resourceType: 'Patient',
        id,
        extension: values.map((value) => ({ url: EXTENSION, ...value })),
      } as never);
    await extended(
      'p1',
      { valueString: 'Äpfel' },
      { valueInteger: 5 },
      { valueDate: '1990-05' },
      { valueCodeableConcept: { coding: [{ system: 'urn:s', code: 'x', display: 'Exes' }] } },
      { valueUri: 'https://example.org/a/b' },
      { valueQuantity: { value: 5, unit: 'mg', system: 'http://unitsofmeasure.org', code: 'mg' } },
    );
    await extended('p2', { valueString: 'Birnen' }, { valueInteger: 7 }, { valueDate: '1991' });
    await put(a, {
      resourceType: 'Patient',
      id: 'p3',
      contact: [{ organization: { reference: 'Organization/north' }, gender: 'female' }],
      extension: [
        { url: EXTENSION, valueReference: { reference: 'Organization/south' } },
        { url: 'https://example.org/other', valueReference: { reference: 'Organization/north' } },
      ],
    } as never);
    await put(a, {
      resourceType: 'Patient',
      id: 'p4',
      contact: [{ organization: { reference: 'Organization/south' }, gender: 'male' }],
    } as never);
    const of = (type: string) => `Patient.extension.where(url = '${EXTENSION}').value.as(${type})`;
    const definitions = [
      parameter('fav-string', 'string', 'Patient', of('string')),
      parameter('fav-number', 'number', 'Patient', of('integer')),
      parameter('fav-date', 'date', 'Patient', of('date')),
      parameter('fav-token', 'token', 'Patient', of('CodeableConcept')),
      parameter('fav-uri', 'uri', 'Patient', of('uri')),
      parameter('fav-quantity', 'quantity', 'Patient', of('Quantity')),
      parameter('contact-org', 'reference', 'Patient', 'Patient.contact.organization', {
        target: ['Organization'],
      }),
      parameter('fav-org', 'reference', 'Patient', of('Reference'), { target: ['Organization'] }),
      parameter('gender-birth', 'composite', 'Patient', 'Patient.contact', {
        component: [
          { definition: 'http://hl7.org/fhir/SearchParameter/individual-gender', expression: 'gender' },
          {
            definition: 'http://hl7.org/fhir/SearchParameter/Patient-organization',
            expression: 'organization',
          },
        ],
      }),
    ];
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: definitions.map((resource) => ({
        resource,
        request: { method: 'POST', url: 'SearchParameter' },
      })),
    };
    const { status, body } = await a.send('post', '/').send(bundle);
    expect([status, body.issue]).toEqual([200, undefined]);
    await settled(a);
  });

  test.each([
    ['Patient?fav-string=apf', ['p1']],
    ['Patient?fav-string:exact=Birnen', ['p2']],
    ['Patient?fav-string:contains=rne', ['p2']],
    ['Patient?fav-string:missing=true', ['p3', 'p4']],
    ['Patient?fav-number=gt5', ['p2']],
    ['Patient?fav-number=5,7', ['p1', 'p2']],
    ['Patient?fav-date=ge1991', ['p2']],
    ['Patient?fav-date=1990', ['p1']],
    ['Patient?fav-date:missing=false', ['p1', 'p2']],
    ['Patient?fav-token=urn:s|x', ['p1']],
    ['Patient?fav-token=x', ['p1']],
    ['Patient?fav-token:text=exe', ['p1']],
    ['Patient?fav-token:not=x', ['p2', 'p3', 'p4']],
    ['Patient?fav-uri:below=https://example.org/a', ['p1']],
    ['Patient?fav-quantity=5|http://unitsofmeasure.org|mg', ['p1']],
    ['Patient?fav-quantity=0.005|http://unitsofmeasure.org|g', ['p1']],
    ['Patient?contact-org=Organization/north', ['p3']],
    ['Patient?contact-org:missing=false', ['p3', 'p4']],
    ['Patient?contact-org.name=south', ['p4']],
    ['Patient?contact-org:Organization.name:contains=clinic', ['p3', 'p4']],
    ['Patient?gender-birth=female$Organization/north', ['p3']],
    ['Patient?gender-birth=female$Organization/south', []],
    ['Patient?fav-org=Organization/south', ['p3']],
    ['Patient?fav-org.name=south', ['p3']],
    ['Patient?fav-org.name=north', []],
    ['Patient?fav-org.name:contains=clinic', ['p3']],
    ['Organization?_has:Patient:fav-org:_id=p3', ['south']],
    ['Organization?_has:Patient:contact-org:fav-string:missing=true', ['north', 'south']],
  ])('R4 search 3.1.1: %s, in both processes', async (query, expected) => {
    expect(await found(a, query)).toEqual(expected);
    expect(await found(b, query)).toEqual(expected);
  });

  test('R4 search 3.1.1.4.1 and 3.1.1.5.5: it sorts, and includes', async () => {
    const sorted = await a.send('get', '/Patient?fav-number:missing=false&_sort=-fav-number');
    expect(ids(sorted.body)).toEqual(['p2', 'p1']);
    const included = await b.send('get', '/Patient?_id=p3&_include=Patient:contact-org');
    expect(ids(included.body)).toEqual(['p3', 'north']);
    const extended = await a.send('get', '/Patient?_id=p3&_include=Patient:fav-org');
    expect(ids(extended.body)).toEqual(['p3', 'south']);
    const all = await a.send('get', '/Patient?_id=p3&_include=*');
    expect(ids(all.body).sort()).toEqual(['north', 'p3', 'south']);
    const backExtended = await b.send('get', '/Organization?_revinclude=Patient:fav-org');
    expect(ids(backExtended.body).sort()).toEqual(['north', 'p3', 'south']);
    const back = await b.send('get', '/Organization?_id=south&_revinclude=Patient:contact-org');
    expect(ids(back.body)).toEqual(['south', 'p4']);
  });

  test('what is written from then on is indexed by it, by whichever process', async () => {
    await put(b, {
      resourceType: 'Patient',
      id: 'p5',
      extension: [{ url: EXTENSION, valueString: 'Zitronen' }],
    } as never);
    expect(await found(a, 'Patient?fav-string=zit')).toEqual(['p5']);
    await a.send('delete', '/Patient/p5');
    expect(await found(b, 'Patient?fav-string=zit')).toEqual([]);
  });

  test('R4 http 3.1.0.5: conditions know it', async () => {
    const resource = { resourceType: 'Patient', extension: [{ url: EXTENSION, valueInteger: 99 }] };
    const first = await b.send('post', '/Patient').set('If-None-Exist', 'fav-number=99').send(resource);
    const second = await a.send('post', '/Patient').set('If-None-Exist', 'fav-number=99').send(resource);
    expect([first.status, second.status]).toEqual([201, 200]);
  });

  test('R4 http 3.1.0.9: the CapabilityStatement lists it for its type, in both processes', async () => {
    for (const app of [a, b]) {
      const { body } = await app.send('get', '/metadata');
      const codes = (type: string) =>
        body.rest[0].resource
          .find((one: { type: string }) => one.type === type)
          .searchParam.map(({ name }: { name: string }) => name);
      expect(codes('Patient')).toEqual(expect.arrayContaining(['fav-string', 'contact-org', 'gender-birth']));
      expect(codes('Observation')).not.toContain('fav-string');
    }
  });

  test('all rows are as they should be', consistent);
});

describe('what a SearchParameter says of itself', () => {
  test('R4 searchparameter: modifier, comparator, multipleOr, multipleAnd and chain are all that is taken', async () => {
    await define(
      a,
      parameter('strict-name', 'string', 'Practitioner', 'Practitioner.name', {
        modifier: ['exact'],
        multipleOr: false,
        multipleAnd: false,
      }),
    );
    await define(
      a,
      parameter('born', 'date', 'Practitioner', 'Practitioner.birthDate', { comparator: ['eq', 'ge'] }),
    );
    await define(
      a,
      parameter('by-org', 'reference', 'Practitioner', 'Practitioner.qualification.issuer', {
        target: ['Organization'],
        chain: ['name'],
      }),
    );
    const status = async (query: string) => (await b.send('get', `/Practitioner?${query}`)).status;
    expect(await status('strict-name:exact=x')).toBe(200);
    expect(await status('strict-name:contains=x')).toBe(400);
    expect(await status('strict-name:missing=true')).toBe(400);
    expect(await status('strict-name=x,y')).toBe(400);
    expect(await status('strict-name=x&strict-name=y')).toBe(400);
    expect(await status('born=ge1990')).toBe(200);
    expect(await status('born=1990')).toBe(200);
    expect(await status('born=lt1990')).toBe(400);
    expect(await status('by-org.name=x')).toBe(200);
    expect(await status('by-org.address=x')).toBe(400);
  });
});

describe('one that cannot act is refused 422, and says why', () => {
  test.each([
    [
      'an expression that is not compiled',
      { expression: "Patient.name.matches('x')" },
      'SearchParameter.expression',
      'the function matches is not known',
    ],
    [
      'an element that does not exist',
      { expression: 'Patient.nam' },
      'SearchParameter.expression',
      'Patient has no element nam',
    ],
    [
      'an expression of another type',
      { expression: 'Observation.code' },
      'SearchParameter.expression',
      'no element',
    ],
    [
      'elements that its type has no values for',
      { expression: 'Patient.photo' },
      'SearchParameter.expression',
      'Attachment',
    ],
    ['no expression', { expression: undefined }, 'SearchParameter.expression', 'finds nothing'],
    [
      'what the server gives',
      { expression: 'Patient.meta.lastUpdated', type: 'date' },
      'SearchParameter.expression',
      'given by the server',
    ],
    [
      'a code of R4 on that type',
      { code: 'name' },
      'SearchParameter.code',
      'has the search parameter name of R4',
    ],
    ['a code that no query can have', { code: 'a:b' }, 'SearchParameter.code', 'cannot stand in a query'],
    ['a code of the standard to be', { code: '_mine' }, 'SearchParameter.code', 'the standard'],
    [
      'a url of R4',
      { url: 'http://hl7.org/fhir/SearchParameter/Patient-active' },
      'SearchParameter.url',
      'url of another',
    ],
    [
      'a modifier that its type has not',
      { modifier: ['below'] },
      'SearchParameter.modifier[0]',
      'none of a string',
    ],
    [
      'deep nesting',
      { expression: `${'('.repeat(900)}Patient.name${')'.repeat(900)}` },
      'SearchParameter.expression',
      'nested',
    ],
    [
      'choices within choices',
      { expression: 'Patient.extension.value.extension.value.extension.value.extension.value' },
      'SearchParameter.expression',
      'too many',
    ],
    ['type special', { type: 'special' }, 'SearchParameter.type', 'special'],
  ])('%s', async (_what, change, expression, says) => {
    const resource = { ...parameter('refused', 'string', 'Patient', 'Patient.name'), ...change };
    const { status, body } = await a.send('post', '/SearchParameter').send(resource);
    expect([status, body.issue[0].expression]).toEqual([422, [expression]]);
    expect(body.issue[0].diagnostics).toContain(says);
  });

  test('as a draft it is only kept', async () => {
    const draft = { ...parameter('drafted', 'string', 'Patient', 'Patient.nonsense'), status: 'draft' };
    expect((await a.send('post', '/SearchParameter').send(draft)).status).toBe(201);
    expect((await a.send('get', '/Patient?drafted=x')).status).toBe(400);
  });

  test('two of one code in a Bundle: the second entry is named', async () => {
    const entry = (url: string) => ({
      resource: { ...parameter('twin', 'string', 'Patient', 'Patient.name'), url },
      request: { method: 'POST', url: 'SearchParameter' },
    });
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [entry('urn:x:1'), entry('urn:x:2')],
    };
    const { status, body } = await a.send('post', '/').send(bundle);
    expect([status, body.issue[0].expression]).toEqual([422, ['Bundle.entry[1].resource.code']]);
  });

  test('who may create SearchParameters of another scope than system may not let them act', async () => {
    const token = await a.app.issueToken({ scope: 'system/SearchParameter.rd', client: 'test', minutes: 5 });
    const id = await define(a, parameter('guarded', 'string', 'Patient', 'Patient.name'));
    const refused = await a.send('delete', `/SearchParameter/${id}`).set('Authorization', `Bearer ${token}`);
    expect(refused.status).toBe(403);
    expect((await a.send('post', '/$reindex').set('Authorization', `Bearer ${token}`)).status).toBe(403);
    expect((await a.send('get', '/Patient?guarded=x')).status).toBe(200);
  });
});

describe('changing and ending one', () => {
  test('the old one answers until the new one does; retired, it does not act at once; nothing is left of it', async () => {
    const before = { ...parameter('nick', 'string', 'Patient', 'Patient.name.family'), id: 'nick' };
    await put(a, {
      resourceType: 'Patient',
      id: 'n1',
      name: [{ family: 'Alpha', given: ['Beta'] }],
    } as never);
    expect((await put(a, before as never)).status).toBe(201);
    await settled(a);
    expect(await found(b, 'Patient?nick=alp')).toEqual(['n1']);

    expect((await put(b, { ...before, expression: 'Patient.name.given' } as never)).status).toBe(200);
    await settled(a);
    await settled(a);
    expect(await found(a, 'Patient?nick=alp')).toEqual([]);
    expect(await found(b, 'Patient?nick=bet')).toEqual(['n1']);
    await consistent();

    expect((await put(a, { ...before, status: 'retired' } as never)).status).toBe(200);
    for (const app of [a, b]) expect((await app.send('get', '/Patient?nick=bet')).status).toBe(400);
    const lenient = await b.send('get', '/Patient?nick=bet&_id=n1').set('Prefer', 'handling=lenient');
    expect(ids(lenient.body)).toEqual(['n1']);
    await settled(a);
    await consistent();
  });

  test('deleted, it ends; its code is free for another', async () => {
    const id = await define(a, parameter('gone', 'string', 'Patient', 'Patient.name'));
    expect((await b.send('delete', `/SearchParameter/${id}`)).status).toBe(204);
    expect((await a.send('get', '/Patient?gone=x')).status).toBe(400);
    await define(b, parameter('gone', 'token', 'Patient', 'Patient.gender'));
    expect((await a.send('get', '/Patient?gone=male')).status).toBe(200);
  });
});

describe('$reindex', () => {
  test('R4 async: it is polled until it is done, verified by counts', async () => {
    await settled(a);
    // What it is for: an index that does not say what the contents do.
    await a.app.pool.query(
      `update resource_index set keys = keys[1:timeline] where rid in (select rid from resource where id = 'p3')`,
    );
    expect(await found(a, 'Patient?contact-org=Organization/north')).toEqual([]);
    const begun = await a.send('post', '/$reindex?type=Patient');
    expect(begun.status).toBe(202);
    const url = begun.headers['content-location']?.replace(a.base, '') as string;
    for (let status = 202; status === 202; await sleep(50)) ({ status } = await b.send('get', url));
    const { body } = await b.send('get', url);
    const { parameter: parts } = body.entry[0].resource;
    expect(parts[0]).toEqual({ name: 'verified', valueBoolean: true });
    const counts = Object.fromEntries(
      parts
        .find(({ name }: { name: string }) => name === 'type')
        .part.map(({ name, valueDecimal }: { name: string; valueDecimal?: number }) => [name, valueDecimal]),
    );
    expect(counts.resources).toBe(counts.current);
    expect(await found(b, 'Patient?contact-org=Organization/north')).toEqual(['p3']);
    expect((await a.send('delete', url)).status).toBe(202);
    expect((await a.send('get', url)).status).toBe(404);
  });

  test('of one SearchParameter; of none that acts it is refused', async () => {
    const draft = await a
      .send('post', '/SearchParameter')
      .send({ ...parameter('d', 'string', 'Patient', 'Patient.name'), status: 'draft' });
    expect((await a.send('post', `/SearchParameter/${draft.body.id}/$reindex`)).status).toBe(422);
    expect((await a.send('post', '/SearchParameter/none/$reindex')).status).toBe(404);
    expect((await a.send('post', '/$reindex?type=Nothing')).status).toBe(400);
    const id = await define(a, parameter('once', 'string', 'Group', 'Group.name'));
    expect(
      (await b.send('post', `/SearchParameter/${id}/$reindex`).set('Prefer', 'respond-async')).status,
    ).toBe(202);
    await settled(a);
  });
});
