/** R4 http 3.1.0.11.2: "Servers SHALL replace all matching links in the bundle …" */
import { startApp, type TestApp } from '../app.ts';
import {
  type Body,
  exchanging,
  FHIR,
  fhirPathPatch,
  fresh,
  identified,
  observation,
  patient,
  placeOf,
  posting,
  putting,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const XHTML = 'xmlns="http://www.w3.org/1999/xhtml"';
const basic = (more: object): Body => ({ resourceType: 'Basic', code: { text: 'x' }, ...more });
const extended = (more: object): Body => basic({ extension: [{ url: 'http://example.org/x', ...more }] });

/** What becomes of a resource that links to `name`, which another entry has as its fullUrl; and the place of that. */
async function linked(
  resource: (name: string) => Body,
  name: string,
  target: Body = patient(fresh()),
): Promise<{ stored: Body; place: string }> {
  const [linking, made] = await it.done([posting(resource(name)), posting(target, { fullUrl: name })]);
  return { stored: await it.read(placeOf(linking!)), place: placeOf(made!) };
}

describe('R4 http 3.1.0.11.2: matching links are replaced, whether they are found in …', () => {
  test.each<[string, (name: string) => Body]>([
    ['a Reference', (name) => observation(name)],
    ['a Reference in a list', (name) => observation('Patient/1', { performer: [{ reference: name }] })],
    ['a Reference in an extension', (name) => extended({ valueReference: { reference: name } })],
    [
      'a Reference in a contained resource',
      (name) =>
        basic({
          contained: [{ resourceType: 'Basic', id: 'c', code: { text: 'y' }, subject: { reference: name } }],
          extension: [{ url: 'http://example.org/x', valueReference: { reference: '#c' } }],
        }),
    ],
    [
      'an extension of a primitive',
      (name) =>
        patient('1', {
          birthDate: '1980',
          _birthDate: { extension: [{ url: 'http://example.org/x', valueUri: name }] },
        }),
    ],
    ['a uri', (name) => extended({ valueUri: name })],
    ['a url', (name) => extended({ valueUrl: name })],
    [
      'the url of an attachment',
      (name) => ({
        resourceType: 'DocumentReference',
        status: 'current',
        content: [{ attachment: { url: name } }],
      }),
    ],
    [
      '<a href>',
      (name) =>
        basic({
          text: { status: 'generated', div: `<div ${XHTML}><p><a href="${name}">He</a></p></div>` },
        }),
    ],
    [
      '<img src>',
      (name) =>
        basic({ text: { status: 'generated', div: `<div ${XHTML}><img src="${name}" alt="x"/></div>` } }),
    ],
  ])('%s', async (_what, resource) => {
    const name = urn();
    const { stored, place } = await linked(resource, name);
    const text = JSON.stringify(stored);
    expect(text).toContain(place);
    expect(text).not.toContain(name);
  });

  test('elements of type oid and uuid', async () => {
    const [uuid, oid] = [urn(), `urn:oid:1.2.3.${Date.now()}`];
    const uuids = await linked((name) => extended({ valueUuid: name }), uuid);
    expect(JSON.stringify(uuids.stored)).toContain(`"valueUuid":"${uuids.place}"`);
    const oids = await linked((name) => extended({ valueOid: name }), oid);
    expect(JSON.stringify(oids.stored)).toContain(`"valueOid":"${oids.place}"`);
  });

  test('a name that is urn:oid, and one that is http', async () => {
    for (const name of [`urn:oid:1.2.4.${Date.now()}`, `http://other.example.org/fhir/Patient/${fresh()}`]) {
      const { stored, place } = await linked((name) => observation(name), name);
      expect(stored.subject).toEqual({ reference: place });
    }
  });

  test('a relative reference, resolved against the fullUrl of its entry', async () => {
    const [root, id] = ['http://other.example.org/fhir', fresh()];
    const [made, linking, elsewhere, local] = await it.done([
      posting(patient(fresh()), { fullUrl: `${root}/Patient/${id}` }),
      posting(observation(`Patient/${id}`), { fullUrl: `${root}/Observation/${fresh()}` }),
      posting(observation(`Patient/${id}`), {
        fullUrl: `http://third.example.org/fhir/Observation/${fresh()}`,
      }),
      posting(observation(`Patient/${id}`), { fullUrl: urn() }),
    ]);
    expect((await it.read(placeOf(linking!))).subject.reference).toBe(placeOf(made!));
    expect((await it.read(placeOf(elsewhere!))).subject.reference).toBe(`Patient/${id}`);
    expect((await it.read(placeOf(local!))).subject.reference).toBe(`Patient/${id}`);
  });

  test('circular references, and one to itself', async () => {
    const [a, b] = [urn(), urn()];
    const linking = (to: string): Body => extended({ valueReference: { reference: to } });
    const [one, two] = await it.done([
      posting(linking(b), { fullUrl: a }),
      posting(
        basic({
          extension: [a, b].map((to) => ({ url: 'http://example.org/x', valueReference: { reference: to } })),
        }),
        { fullUrl: b },
      ),
    ]);
    const referencesOf = async (place: string) =>
      (await it.read(place)).extension.map(
        ({ valueReference }: { valueReference: { reference: string } }) => valueReference.reference,
      );
    expect(await referencesOf(placeOf(one!))).toEqual([placeOf(two!)]);
    expect(await referencesOf(placeOf(two!))).toEqual([placeOf(one!), placeOf(two!)]);
  });

  test('links to what a PUT, a conditional PUT and an ifNoneExist mean', async () => {
    const [id, found, matched] = [fresh(), fresh(), fresh()];
    const [foundId, matchedId] = [await it.created(patient(found)), await it.created(patient(matched))];
    const names = [urn(), urn(), urn(), urn()];
    const value = fresh();
    const entries = await it.done([
      ...names.map((name) => posting(observation(name))),
      putting(patient(fresh(), { id }), { fullUrl: names[0]! }),
      putting(patient(found), { fullUrl: names[1]!, url: `Patient?${identified(found)}` }),
      posting(patient(matched), { fullUrl: names[2]!, ifNoneExist: identified(matched) }),
      putting(patient(value), { fullUrl: names[3]!, url: `Patient?${identified(value)}` }),
    ]);
    const references = [];
    for (const made of entries.slice(0, 4)) references.push((await it.read(placeOf(made))).subject.reference);
    expect(references).toEqual([
      `Patient/${id}`,
      `Patient/${foundId}`,
      `Patient/${matchedId}`,
      placeOf(entries[7]!),
    ]);
  });

  test('links in resources that are put', async () => {
    const [id, name] = [fresh(), urn()];
    const [, made] = await it.done([
      putting(patient(fresh(), { id, managingOrganization: { reference: name } })),
      posting({ resourceType: 'Organization', name: 'x' }, { fullUrl: name }),
    ]);
    expect((await it.read(`Patient/${id}`)).managingOrganization.reference).toBe(placeOf(made!));
  });

  test('links in what a FHIRPath Patch brings', async () => {
    const [id, name] = [await it.created(patient(fresh())), urn()];
    const [, made] = await it.done([
      {
        resource: fhirPathPatch({
          type: 'add',
          path: 'Patient',
          name: 'managingOrganization',
          value: { valueReference: { reference: name } },
        }),
        request: { method: 'PATCH', url: `Patient/${id}` },
      },
      posting({ resourceType: 'Organization', name: 'x' }, { fullUrl: name }),
    ]);
    expect((await it.read(`Patient/${id}`)).managingOrganization.reference).toBe(placeOf(made!));
  });

  test('names under the base of this server, of a POST and of a PUT', async () => {
    const [old, id] = [fresh(), fresh()];
    const [made, , toMade, toPut, relative] = await it.done([
      posting(patient(fresh()), { fullUrl: `${app.base}/Patient/${old}` }),
      putting(patient(fresh(), { id }), { fullUrl: `http://other.example.org/fhir/Patient/${id}` }),
      posting(observation(`${app.base}/Patient/${old}`)),
      posting(observation(`http://other.example.org/fhir/Patient/${id}`)),
      posting(observation(`Patient/${old}`), { fullUrl: `${app.base}/Observation/${fresh()}` }),
    ]);
    expect((await it.read(placeOf(toMade!))).subject.reference).toBe(placeOf(made!));
    expect((await it.read(placeOf(toPut!))).subject.reference).toBe(`Patient/${id}`);
    expect((await it.read(placeOf(relative!))).subject.reference).toBe(placeOf(made!));
  });

  test('what is rewritten is found by search', async () => {
    const name = urn();
    const { stored, place } = await linked((name) => observation(name), name);
    const { body } = await app.send('get', `/Observation?subject=${place}`).expect(200);
    expect(body.entry.map(({ resource }: { resource: Body }) => resource.id)).toEqual([stored.id]);
  });
});

describe('R4 http 3.1.0.11.2: what is left untouched', () => {
  test.each<[string, (name: string) => Body]>([
    ['elements of type canonical', (name) => extended({ valueCanonical: name })],
    ['plain text', (name) => extended({ valueString: name })],
    ['the value of an identifier', (name) => patient(name)],
    ['a display', (name) => observation('Patient/1', { performer: [{ display: name }] })],
    [
      'the text of a narrative',
      (name) => basic({ text: { status: 'generated', div: `<div ${XHTML}><p>${name}</p></div>` } }),
    ],
    ['a part of a value', (name) => extended({ valueUri: `${name}-more` })],
  ])('%s', async (_what, resource) => {
    const name = urn();
    const { stored } = await linked(resource, name);
    expect(stored).toMatchObject(resource(name));
  });

  test.each([
    'urn:uuid:11111111-2222-4333-8444-555555555555',
    'http://other.example.org/fhir/Patient/1',
    'Patient/elsewhere',
  ])('a reference to what is not part of the bundle: %s', async (reference) => {
    const [made] = await it.done([
      posting(observation(reference)),
      posting(patient(fresh()), { fullUrl: urn() }),
    ]);
    expect((await it.read(placeOf(made!))).subject.reference).toBe(reference);
  });

  test('a reference to a contained resource', async () => {
    const resource = basic({
      contained: [{ resourceType: 'Patient', id: 'p' }],
      subject: { reference: '#p' },
    });
    const [made] = await it.done([posting(resource, { fullUrl: 'http://other.example.org/fhir/Basic/1' })]);
    expect((await it.read(placeOf(made!))).subject.reference).toBe('#p');
  });

  test('version-specific references remain version-specific', async () => {
    const name = `http://other.example.org/fhir/Patient/${fresh()}`;
    const { stored } = await linked((name) => observation(`${name}/_history/3`), name);
    expect((stored.subject as { reference: string }).reference).toMatch(/\/_history\/\d+$/);
  });

  test('digits, escapes and the order of members', async () => {
    const name = urn();
    const content = (reference: string) =>
      `{"resourceType":"Observation","status":"final","subject":{"reference":"${reference}"},"code":{"text":"caf\\u00e9 \\/ ü"},"valueQuantity":{"unit":"g","value":1.700},"component":[{"code":{"text":"a"},"valueQuantity":{"value":0.00100}},{"code":{"text":"b"},"valueQuantity":{"value":12345678901234567890.10}}]}`;
    const text = `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":${content(name)},"request":{"method":"POST","url":"Observation"}},{"fullUrl":"${name}","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`;
    const { body } = await app.send('post', '/').type(FHIR).send(text).expect(200);
    const [linking, made] = body.entry;
    const alone = await app
      .send('post', '/Observation')
      .type(FHIR)
      .send(content(placeOf(made)))
      .expect(201);
    /** Without what the server gives. */
    const contentOf = async (place: string) =>
      (await app.send('get', `/${place}`).expect(200)).text
        .replace(/"id":"[^"]*",/, '')
        .replace(/"versionId":"[^"]*",?/, '')
        .replace(/"lastUpdated":"[^"]*",?/, '');
    const rewritten = await contentOf(placeOf(linking));
    for (const digits of ['1.700', '0.00100', '12345678901234567890.10'])
      expect(rewritten).toContain(`"value":${digits}}`);
    expect(rewritten).toContain('"caf\\u00e9 \\/ ü"');
    expect(rewritten).toBe(await contentOf(`Observation/${alone.body.id}`));
  });
});
