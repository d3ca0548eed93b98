import { inconsistencies } from '../../support/consistency.ts';
import { startApp, type TestApp } from '../app.ts';

const FHIR = 'application/fhir+json';
const TAGS = 'https://example.org/tags';
const LABELS = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
const PROFILE = 'https://example.org/StructureDefinition/person';

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

let count = 0;
async function patient(meta?: object): Promise<string> {
  const id = `p${++count}`;
  const resource = { resourceType: 'Patient', id, meta, active: true };
  await app.send('put', `/Patient/${id}`).type(FHIR).send(resource).expect(201);
  return id;
}

const call = (path: string, meta: unknown) =>
  app
    .send('post', path)
    .type(FHIR)
    .send({ resourceType: 'Parameters', parameter: [{ name: 'meta', valueMeta: meta }] });
const returned = ({
  body,
}: {
  body: { parameter: [{ name: string; valueMeta: Record<string, unknown> }] };
}) => {
  const [{ name, valueMeta }] = body.parameter;
  expect(name).toBe('return');
  return valueMeta;
};
const found = async (query: string): Promise<string[]> => {
  const { body } = await app.send('get', `/Patient?${query}`).expect(200);
  return (body.entry ?? []).map(({ resource }: { resource: { id: string } }) => resource.id);
};

describe('R4 resource-operation-meta', () => {
  test('gives the meta that the resource has, and that of a version', async () => {
    const id = await patient({ tag: [{ system: TAGS, code: 'a' }] });
    await app
      .send('put', `/Patient/${id}`)
      .type(FHIR)
      .send({ resourceType: 'Patient', id, meta: { profile: [PROFILE] } })
      .expect(200);
    const { body } = await app.send('get', `/Patient/${id}`).expect(200);
    const answer = await app.send('get', `/Patient/${id}/$meta`).expect(200);
    expect(returned(answer)).toEqual(body.meta);
    expect(answer.headers.etag).toBe('W/"2"');
    const before = await app.send('post', `/Patient/${id}/_history/1/$meta`).expect(200);
    expect(returned(before)).toMatchObject({ versionId: '1', tag: [{ system: TAGS, code: 'a' }] });
  });

  test('404 and 410 as a read', async () => {
    await app.send('get', '/Patient/nobody/$meta').expect(404);
    const id = await patient();
    await app.send('delete', `/Patient/${id}`).expect(204);
    await app.send('get', `/Patient/${id}/$meta`).expect(410);
    await call(`/Patient/${id}/$meta-add`, { tag: [{ code: 'a' }] }).expect(410);
    await call('/Patient/nobody/$meta-add', { tag: [{ code: 'a' }] }).expect(404);
  });

  test.each(['/$meta', '/Patient/$meta'])(
    '%s is refused, and where it is not (R4: "Systems are not obligated to implement the operation at this level")',
    async (path) => {
      for (const method of ['get', 'post'] as const) {
        const { body } = await app.send(method, path).expect(404);
        expect(body.issue[0].diagnostics).toContain('only at /fhir/:type/:id/$meta');
      }
    },
  );

  test('needs leave to read', async () => {
    const id = await patient();
    const token = await app.app.issueToken({ scope: 'system/Patient.s', client: 'test', minutes: 5 });
    await app.send('get', `/Patient/${id}/$meta`).set('Authorization', `Bearer ${token}`).expect(403);
  });
});

describe('R4 resource-operation-meta-add', () => {
  test('adds profiles, tags and labels, which are found then, in a new version that is in the history', async () => {
    const id = await patient({ tag: [{ system: TAGS, code: 'a' }] });
    const answer = await call(`/Patient/${id}/$meta-add`, {
      profile: [PROFILE],
      tag: [{ system: TAGS, code: 'b' }],
      security: [{ system: LABELS, code: 'R' }],
    }).expect(200);
    expect(returned(answer)).toMatchObject({
      versionId: '2',
      profile: [PROFILE],
      tag: [
        { system: TAGS, code: 'a' },
        { system: TAGS, code: 'b' },
      ],
      security: [{ system: LABELS, code: 'R' }],
    });
    expect(answer.headers.etag).toBe('W/"2"');
    const { body } = await app.send('get', `/Patient/${id}`).expect(200);
    expect(body).toMatchObject({ active: true, meta: returned(answer) });
    expect(await found(`_tag=${TAGS}|b&_id=${id}`)).toEqual([id]);
    expect(await found(`_security=${LABELS}|R&_id=${id}`)).toEqual([id]);
    const history = await app.send('get', `/Patient/${id}/_history`).expect(200);
    expect(history.body.total).toBe(2);
  });

  test('what is there is not added again, whatever its display and version, and no version is made', async () => {
    const id = await patient({ profile: [PROFILE], tag: [{ system: TAGS, code: 'a', display: 'A' }] });
    const answer = await call(`/Patient/${id}/$meta-add`, {
      profile: [PROFILE],
      tag: [{ system: TAGS, code: 'a', display: 'B', version: '2' }],
    }).expect(200);
    expect(returned(answer)).toMatchObject({ versionId: '1', tag: [{ display: 'A' }] });
    const twice = await call(`/Patient/${id}/$meta-add`, {
      tag: [
        { system: TAGS, code: 'b' },
        { system: TAGS, code: 'b', display: 'again' },
      ],
    }).expect(200);
    expect(returned(twice).tag).toHaveLength(2);
  });

  test('numbers of the resource keep their digits', async () => {
    const value =
      '{"resourceType":"Observation","id":"digits","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}';
    await app.send('put', '/Observation/digits').type(FHIR).send(value).expect(201);
    await call('/Observation/digits/$meta-add', { tag: [{ code: 'a' }] }).expect(200);
    const { text } = await app.send('get', '/Observation/digits').expect(200);
    expect(text).toContain('"value":1.00');
  });

  test.each([
    ['GET', { method: 'get' as const, status: 405 }],
    ['no meta', { body: { resourceType: 'Parameters' }, status: 400 }],
    ['no Parameters', { body: { resourceType: 'Patient' }, status: 400 }],
    [
      'another type',
      { body: { resourceType: 'Parameters', parameter: [{ name: 'meta', valueString: 'x' }] }, status: 400 },
    ],
    [
      'an unknown parameter',
      { body: { resourceType: 'Parameters', parameter: [{ name: 'mta', valueMeta: {} }] }, status: 400 },
    ],
    [
      'tags that are none',
      {
        body: { resourceType: 'Parameters', parameter: [{ name: 'meta', valueMeta: { tag: [1] } }] },
        status: 400,
      },
    ],
    [
      'profiles that are none',
      {
        body: { resourceType: 'Parameters', parameter: [{ name: 'meta', valueMeta: { profile: [{}] } }] },
        status: 400,
      },
    ],
    [
      'members that Codings lack',
      {
        body: {
          resourceType: 'Parameters',
          parameter: [{ name: 'meta', valueMeta: { tag: [{ cod: 'x' }] } }],
        },
        status: 400,
      },
    ],
  ])(
    '%s is refused',
    async (_, {
      method = 'post' as const,
      body,
      status,
    }: { method?: 'get' | 'post'; body?: object; status: number }) => {
      const id = await patient();
      const answer = await app.send(method, `/Patient/${id}/$meta-add`).type(FHIR).send(body).expect(status);
      expect(answer.body.issue[0].severity).toBe('error');
      if (status === 405) expect(answer.headers.allow).toBe('POST, OPTIONS');
    },
  );

  test('If-Match guards it', async () => {
    const id = await patient();
    const path = `/Patient/${id}/$meta-add`;
    await call(path, { tag: [{ code: 'a' }] })
      .set('If-Match', 'W/"7"')
      .expect(412);
    await call(path, { tag: [{ code: 'a' }] })
      .set('If-Match', 'W/"1"')
      .expect(200);
  });

  test('needs leave to update', async () => {
    const id = await patient();
    const token = await app.app.issueToken({ scope: 'system/Patient.rs', client: 'test', minutes: 5 });
    await call(`/Patient/${id}/$meta-add`, { tag: [{ code: 'a' }] })
      .set('Authorization', `Bearer ${token}`)
      .expect(403);
  });

  test('many at once: none is lost', async () => {
    const id = await patient();
    const codes = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(
      codes.map((code) =>
        call(`/Patient/${id}/$meta-add`, { security: [{ system: LABELS, code }] }).expect(200),
      ),
    );
    const { body } = await app.send('get', `/Patient/${id}`).expect(200);
    expect(body.meta.security.map(({ code }: { code: string }) => code).sort()).toEqual(codes);
    expect(body.meta.versionId).toBe('7');
  });
});

describe('R4 resource-operation-meta-delete', () => {
  test('takes profiles, tags and labels away, which no update does', async () => {
    const security = [
      { system: LABELS, code: 'R', display: 'restricted' },
      { system: LABELS, code: 'V' },
    ];
    const id = await patient({ profile: [PROFILE], tag: [{ system: TAGS, code: 'a' }], security });
    const bare = { resourceType: 'Patient', id };
    const kept = await app.send('put', `/Patient/${id}`).type(FHIR).send(bare).expect(200);
    expect(kept.body.meta.security).toEqual(security);
    const answer = await call(`/Patient/${id}/$meta-delete`, {
      tag: [{ system: TAGS, code: 'unknown' }],
      security: [{ system: LABELS, code: 'R', display: 'another' }],
    }).expect(200);
    expect(returned(answer)).toMatchObject({ versionId: '3', security: [{ system: LABELS, code: 'V' }] });
    expect(await found(`_security=${LABELS}|R&_id=${id}`)).toEqual([]);
    // and it does not come back
    const after = await app.send('put', `/Patient/${id}`).type(FHIR).send(bare).expect(200);
    expect(after.body.meta.security).toEqual([{ system: LABELS, code: 'V' }]);
    const last = await call(`/Patient/${id}/$meta-delete`, { security: [{ system: LABELS, code: 'V' }] });
    expect(returned(last).security).toBeUndefined();
  });

  test('what is not there is no fault (R4: "It is not an error")', async () => {
    const id = await patient();
    const answer = await call(`/Patient/${id}/$meta-delete`, { tag: [{ code: 'x' }] }).expect(200);
    expect(returned(answer)).toMatchObject({ versionId: '1' });
  });
});

test('contents, index and feed agree after all of it', async () => {
  expect(await inconsistencies(app.app.pool, app.app.definitions, { baseUrl: app.base })).toEqual([]);
});
