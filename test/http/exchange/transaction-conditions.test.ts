/** R4 http 3.1.0.11.2: conditional references. */
import { startApp, type TestApp } from '../app.ts';
import {
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
  SYSTEM,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;

describe('R4 http 3.1.0.11.2: "if there is a single match, the server replaces the search URI"', () => {
  test('with a reference to the matching resource', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const [made] = await it.done([posting(observation(where(value)))]);
    const { subject } = await it.read(placeOf(made!));
    expect(subject).toEqual({ reference: `Patient/${id}` });
    const { body } = await app.send('get', `/Observation?subject=Patient/${id}`).expect(200);
    expect(body.entry).toHaveLength(1);
  });

  test('wherever there are references, as often as there are', async () => {
    const [value, other] = [fresh(), fresh()];
    const [id, otherId] = [await it.created(patient(value)), await it.created(patient(other))];
    const reference = (of: string) => ({ reference: where(of), display: 'x' });
    const [made, put] = await it.done([
      posting({
        resourceType: 'Basic',
        code: { text: 'x' },
        subject: reference(value),
        contained: [{ resourceType: 'Basic', id: 'c', code: { text: 'y' }, subject: reference(other) }],
        extension: [
          { url: 'http://example.org/x', valueReference: { reference: '#c' } },
          { url: 'http://example.org/x', valueReference: reference(other) },
        ],
      }),
      putting({ resourceType: 'Basic', id: fresh(), code: { text: 'x' }, subject: reference(value) }),
    ]);
    const stored = await it.read(placeOf(made!));
    expect(stored).toMatchObject({
      subject: { reference: `Patient/${id}`, display: 'x' },
      contained: [{ subject: { reference: `Patient/${otherId}` } }],
      extension: [{}, { valueReference: { reference: `Patient/${otherId}` } }],
    });
    expect((await it.read(placeOf(put!))).subject.reference).toBe(`Patient/${id}`);
  });

  test('by several parameters, with escapes', async () => {
    const value = `${fresh()}&|`;
    const id = await it.created(patient(value, { birthDate: '1980-02-03' }));
    const escaped = `Patient?identifier=${encodeURIComponent(`${SYSTEM}|${value.replace('|', '\\|')}`)}&birthdate=1980`;
    const [made] = await it.done([posting(observation(escaped))]);
    expect((await it.read(placeOf(made!))).subject.reference).toBe(`Patient/${id}`);
  });

  test('in what a FHIRPath Patch brings', async () => {
    const [value, other] = [fresh(), fresh()];
    const id = await it.created(patient(value));
    const patched = await it.created(patient(other));
    const operation = fhirPathPatch({
      type: 'add',
      path: 'Patient',
      name: 'link',
      value: {
        part: [
          { name: 'other', valueReference: { reference: where(value) } },
          { name: 'type', valueCode: 'seealso' },
        ],
      },
    });
    await it.done([{ resource: operation, request: { method: 'PATCH', url: where(other) } }]);
    expect((await it.read(`Patient/${patched}`)).link[0].other.reference).toBe(`Patient/${id}`);
  });

  test('to what is itself referred to so: nothing has to come first', async () => {
    const [value, name] = [fresh(), fresh()];
    const organization = {
      resourceType: 'Organization',
      name: 'x',
      identifier: [{ system: SYSTEM, value: name }],
    };
    const [first, second, third] = await it.done([
      posting(observation(where(value))),
      posting(
        patient(value, { managingOrganization: { reference: `Organization?identifier=${SYSTEM}|${name}` } }),
      ),
      posting(organization, { ifNoneExist: `identifier=${SYSTEM}|${name}` }),
    ]);
    expect((await it.read(placeOf(first!))).subject.reference).toBe(placeOf(second!));
    expect((await it.read(placeOf(second!))).managingOrganization.reference).toBe(placeOf(third!));
  });

  test('digits stay', async () => {
    const value = fresh();
    await it.created(patient(value));
    const text = JSON.stringify({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [posting(observation(where(value), { valueQuantity: { value: 17 } }))],
    }).replace('17}', '1.700}');
    const { body } = await app.send('post', '/').type(FHIR).send(text).expect(200);
    const read = await app.send('get', `/${placeOf(body.entry[0])}`).expect(200);
    expect(read.text).toContain('"value":1.700}');
  });

  test('only a Reference.reference is one', async () => {
    const value = fresh();
    const uri = where(value);
    const [made] = await it.done([
      posting({
        resourceType: 'Basic',
        code: { text: uri },
        extension: [
          { url: 'http://example.org/x', valueUri: uri },
          { url: 'http://example.org/x', valueCanonical: uri },
        ],
      }),
    ]);
    expect(JSON.stringify(await it.read(placeOf(made!))).split(uri)).toHaveLength(4);
  });
});

describe('R4 http 3.1.0.11.2: "if there are no matches, or multiple matches, the transaction fails"', () => {
  test('no matches: 412, naming entry, element, condition and count; nothing is stored', async () => {
    const [value, other] = [fresh(), fresh()];
    const issue = await it.failed(
      [
        posting(patient(other)),
        posting(observation('Patient/1', { performer: [{ display: 'x' }, { reference: where(value) }] })),
      ],
      412,
    );
    expect(issue).toMatchObject({ severity: 'error', code: 'not-found' });
    expect(issue.expression?.[0]).toMatch(
      /^Bundle\.entry\[1\]\.resource(\.ofType\(Observation\))?\.performer\[1\](\.reference)?$/,
    );
    expect(issue.diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(issue.diagnostics).toMatch(/\b(0|no|none|nothing)\b/i);
    expect(await it.count(where(other))).toBe(0);
  });

  test('several: 412, naming entry, element, condition and count; nothing is stored', async () => {
    const [value, other] = [fresh(), fresh()];
    await it.created(patient(value));
    await it.created(patient(value));
    const issue = await it.failed([posting(patient(other)), posting(observation(where(value)))], 412);
    expect(issue).toMatchObject({ severity: 'error', code: 'multiple-matches' });
    expect(issue.expression?.[0]).toMatch(
      /^Bundle\.entry\[1\]\.resource(\.ofType\(Observation\))?\.subject(\.reference)?$/,
    );
    expect(issue.diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(issue.diagnostics).toMatch(/\b2\b/);
    expect(await it.count(where(other))).toBe(0);
  });

  test('several, one of which the bundle creates', async () => {
    const value = fresh();
    await it.created(patient(value));
    const issue = await it.failed([posting(patient(value)), posting(observation(where(value)))], 412);
    expect(issue.code).toBe('multiple-matches');
    expect(await it.count(where(value))).toBe(1);
  });

  test('SMART scopes: it finds only what its writer may search', async () => {
    const value = fresh();
    await it.created(patient(value));
    const token = await app.app.issueToken({ scope: 'system/Observation.cruds', client: 'test', minutes: 5 });
    const { status, body } = await app
      .send('post', '/')
      .set('Authorization', `Bearer ${token}`)
      .type(FHIR)
      .send({ resourceType: 'Bundle', type: 'transaction', entry: [posting(observation(where(value)))] });
    expect([403, 412]).toContain(status);
    expect(body.resourceType).toBe('OperationOutcome');
  });
});

describe('R4 http 3.1.0.11.2: "Only filtering parameters are allowed"', () => {
  test.each([
    ['_count', 'Patient?identifier=1&_count=1'],
    ['_sort', 'Patient?identifier=1&_sort=birthdate'],
    ['_include', 'Patient?identifier=1&_include=Patient:organization'],
    ['_summary', 'Patient?identifier=1&_summary=true'],
    ['_elements', 'Patient?identifier=1&_elements=id'],
    ['_total', 'Patient?identifier=1&_total=accurate'],
    ['nonsense', 'Patient?nonsense=1'],
    ['', 'Patient?'],
    ['', 'Patient?identifier='],
    ['birthdate', 'Patient?birthdate=yesterday'],
    ['Patinet', 'Patinet?identifier=1'],
  ])('%s in %s is 400, naming the entry', async (said, reference) => {
    const value = fresh();
    const issue = await it.failed([posting(patient(value)), posting(observation(reference))], 400);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(issue.diagnostics).toContain(said);
    expect(await it.count(where(value))).toBe(0);
  });
});

describe('issue: conditions are resolved inside the transaction, and held', () => {
  test('bundles that create what they refer to, and deletions of it, at once: no reference leads nowhere', async () => {
    for (let round = 0; round < 5; round++) {
      const value = fresh();
      const answers = await Promise.all([
        ...Array.from({ length: 4 }, () =>
          it.transaction([
            posting(patient(value), { ifNoneExist: identified(value) }),
            posting(observation(where(value))),
          ]),
        ),
        app.send('delete', `/${where(value)}`),
      ]);
      for (const { status } of answers) expect([200, 204, 409, 412]).toContain(status);
      const places = new Set(
        answers.filter(({ status }) => status === 200).map(({ body }) => placeOf(body.entry[0])),
      );
      for (const { body, status } of answers)
        if (status === 200)
          expect([...places]).toContain((await it.read(placeOf(body.entry[1]))).subject.reference);
      expect(await it.count(where(value))).toBeLessThanOrEqual(1);
    }
  });
});
