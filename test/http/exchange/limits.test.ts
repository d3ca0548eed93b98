/** RFC 9110 §15.5.14: what is too large is 413, with advice, before anything is done. */
import { gzipSync } from 'node:zlib';
import { startApp, type TestApp } from '../app.ts';
import { exchanging, FHIR, fresh, identified, patient, posting } from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ MAX_ENTRIES: '5', MAX_BODY: '65536' });
});
afterAll(() => app.close());
const it = exchanging(() => app);

describe('MAX_ENTRIES', () => {
  test.each(['transaction', 'batch'] as const)(
    'a %s of more entries is 413, which says how many may be',
    async (type) => {
      const value = fresh();
      const entries = Array.from({ length: 6 }, () => posting(patient(value)));
      const { body } = await it[type](entries).expect(413);
      expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'too-costly' });
      expect(body.issue[0].diagnostics).toMatch(/\b5\b/);
      expect(body.issue[0].diagnostics.split(' ').length).toBeGreaterThan(6);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(0);
    },
  );

  test.each(['transaction', 'batch'] as const)('a %s of just as many goes through', async (type) => {
    const value = fresh();
    await it[type](Array.from({ length: 5 }, () => posting(patient(value)))).expect(200);
    expect(await it.count(`Patient?${identified(value)}`)).toBe(5);
  });

  test('a Bundle that is stored is not counted', async () => {
    const entry = Array.from({ length: 6 }, () => ({
      fullUrl: `urn:uuid:${fresh()}`,
      resource: patient(fresh()),
    }));
    await it.post({ resourceType: 'Bundle', type: 'collection', entry }).expect(201);
  });
});

describe('MAX_BODY', () => {
  const large = () => patient(fresh(), { name: [{ family: 'x'.repeat(70_000) }] });

  test.each(['transaction', 'batch'] as const)(
    'a %s that is larger is 413, which says how large it may be',
    async (type) => {
      const { body } = await it[type]([posting(large())]).expect(413);
      expect(body.issue[0].diagnostics).toContain('65536');
    },
  );

  test('unpacked size counts', async () => {
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [posting(large())] };
    const packed = gzipSync(JSON.stringify(bundle));
    expect(packed.length).toBeLessThan(65_536);
    await app
      .send('post', '/')
      .type(FHIR)
      .set('Content-Encoding', 'gzip')
      .serialize((body) => body as unknown as string)
      .send(packed)
      .expect(413);
  });

  test('the patch of a PATCH counts', async () => {
    const id = await it.created(patient(fresh()));
    await it
      .patch(`Patient/${id}`, [{ op: 'add', path: '/language', value: 'x'.repeat(70_000) }])
      .expect(413);
  });
});
