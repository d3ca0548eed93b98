/** R4 bundle.html: documents, messages and collections are resources of their own, stored whole. */
import { startApp, type TestApp } from '../app.ts';
import { exchanging, FHIR, fresh, identified, observation, patient, posting, urn } from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);

const [value, composition, subject, header] = [fresh(), urn(), urn(), urn()];
const document = {
  resourceType: 'Bundle',
  identifier: { system: 'urn:ietf:rfc:3986', value: urn() },
  type: 'document',
  timestamp: '2026-01-02T03:04:05+01:00',
  entry: [
    {
      fullUrl: composition,
      resource: {
        resourceType: 'Composition',
        status: 'final',
        type: { text: 'letter' },
        subject: { reference: subject },
        date: '2026-01-02',
        author: [{ reference: subject }],
        title: 'x',
      },
    },
    { fullUrl: subject, resource: { ...patient(value), id: 'p', meta: { versionId: '7' } } },
    {
      fullUrl: urn(),
      resource: observation(`Patient?${identified(value)}`, { valueQuantity: { value: 17 } }),
    },
  ],
};
const message = {
  resourceType: 'Bundle',
  type: 'message',
  entry: [
    {
      fullUrl: header,
      resource: {
        resourceType: 'MessageHeader',
        eventUri: 'http://example.org/admit',
        source: { endpoint: 'http://example.org/source' },
        focus: [{ reference: subject }],
      },
    },
    { fullUrl: subject, resource: patient(value) },
  ],
};
const collection = {
  resourceType: 'Bundle',
  type: 'collection',
  entry: [{ fullUrl: subject, resource: patient(value) }],
};

describe('R4 http 3.1.0.8: POST [base]/Bundle stores it whole', () => {
  test.each([
    ['document', document],
    ['message', message],
    ['collection', collection],
  ])('%s: read back as it was sent; its entries are not carried out', async (type, bundle) => {
    const text = JSON.stringify(bundle).replace('"value":17', '"value":1.700');
    const answer = await app.send('post', '/Bundle').type(FHIR).send(text).expect(201);
    expect(answer.headers.location).toMatch(/\/Bundle\/[^/]+\/_history\/1$/);
    const read = await app.send('get', `/Bundle/${answer.body.id}`).expect(200);
    const { id, meta, ...rest } = read.body;
    expect(id).toBe(answer.body.id);
    expect(meta.versionId).toBe('1');
    expect(rest).toEqual(JSON.parse(text));
    if (type === 'document') expect(read.text).toContain('"value":1.700');
    expect(await it.count(`Patient?${identified(value)}`)).toBe(0);
    const { body } = await app.send('get', `/Bundle?type=${type}`).expect(200);
    expect(body.entry.map(({ resource }: { resource: { id: string } }) => resource.id)).toContain(id);
  });

  test('as an entry of a transaction: its own world of names stays as it is', async () => {
    const bundle = { ...document, identifier: { ...document.identifier, value: urn() } };
    const [made, other] = await it.done(
      [posting(bundle), posting(patient(fresh()), { fullUrl: subject })],
      'representation',
    );
    const { id, meta, ...rest } = made!.resource;
    expect(rest).toEqual(bundle);
    expect(other?.response.status).toBe('201 Created');
  });

  test('it can be updated and deleted as any other', async () => {
    const { id } = (await it.post(collection).expect(201)).body;
    await it.put(`Bundle/${id}`, { ...collection, id, entry: [] as never }).expect((answer) => {
      // an empty list is no valid JSON of FHIR (json.html#primitive)
      expect([200, 400, 422]).toContain(answer.status);
    });
    await it.put(`Bundle/${id}`, { ...message, id }).expect(200);
    await app.send('delete', `/Bundle/${id}`).expect(204);
    await app.send('get', `/Bundle/${id}`).expect(410);
  });

  test('a batch or a transaction posted to /Bundle is stored, not carried out', async () => {
    const mine = fresh();
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [posting(patient(mine))] };
    await it.post(bundle).expect(201);
    expect(await it.count(`Patient?${identified(mine)}`)).toBe(0);
  });

  test('a fault inside is refused, with its place', async () => {
    const bad = {
      ...collection,
      entry: [{ fullUrl: subject, resource: patient('1', { gender: 'x' }) }],
    };
    const { body, status } = await it.post(bad);
    expect([400, 422]).toContain(status);
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[0\]\.resource.*gender$/);
  });
});
