/** What access tokens for one patient open, path by path (SMART App Launch 2.2, scopes-and-launch-context.html). */

import type { Bundle, OperationOutcome } from 'fhir/r4.js';
import type { Response } from 'supertest';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
let ann: Asking;
const LAB = {
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }],
};
const VITAL = {
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs' }],
};
const to = (reference: string) => ({ reference });
const observation = (patient: string, category: object, more: object = {}) => ({
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  category: [category],
  subject: to(`Patient/${patient}`),
  ...more,
});

beforeAll(async () => {
  app = await startApp();
  const create = app.create;
  await create('Organization', 'clinic', { name: 'Clinic' });
  await create('Practitioner', 'doc', { name: [{ family: 'Doc' }] });
  await create('Patient', 'ann', {
    name: [{ family: 'Ann' }],
    generalPractitioner: [to('Practitioner/doc')],
  });
  await create('Patient', 'bob', {
    name: [{ family: 'Bob' }],
    generalPractitioner: [to('Practitioner/doc')],
  });
  await create('Observation', 'a-lab', observation('ann', LAB));
  await create('Observation', 'a-vital', observation('ann', VITAL, { performer: [to('Practitioner/doc')] }));
  await create('Observation', 'b-lab', observation('bob', LAB));
  await create('Observation', 'b-of-a', observation('bob', LAB, { hasMember: [to('Observation/a-lab')] }));
  await create('Observation', 'a-of-b', observation('ann', LAB, { hasMember: [to('Observation/b-lab')] }));
  await create('Device', 'a-meter', { patient: to('Patient/ann') });
  await create('Device', 'b-meter', { patient: to('Patient/bob') });
  await create('Task', 'a-task', { status: 'requested', intent: 'order', for: to('Patient/ann') });
  await create('Task', 'b-task', { status: 'requested', intent: 'order', for: to('Patient/bob') });
  await create('List', 'b-list', {
    status: 'current',
    mode: 'working',
    subject: to('Patient/bob'),
    entry: [{ item: to('Observation/a-lab') }],
  });
  await create('Encounter', 'gone', {
    status: 'finished',
    class: { code: 'AMB' },
    subject: to('Patient/bob'),
  });
  await app.send('delete', '/Encounter/gone').expect(204);
  ann = await asking(app, 'patient/*.cruds', { patient: 'ann', fhirUser: 'Patient/ann' });
});
afterAll(() => app.close());

const idsOf = ({ entry = [] }: Bundle): string =>
  entry
    .flatMap(({ resource }) => (resource ? `${resource.resourceType}/${resource.id}` : []))
    .sort()
    .join(' ');
const found = async (as: Asking, path: string): Promise<string> => {
  const { body } = await as('get', path).expect(200);
  return idsOf(body);
};

describe('a patient/ scope opens the compartment of the launch, and nothing of others', () => {
  test.each([
    ['/Patient', 'Patient/ann'],
    ['/Observation', 'Observation/a-lab Observation/a-of-b Observation/a-vital'],
    ['/Observation?_summary=count', ''],
    ['/Observation?code=8867-4&_sort=-date', 'Observation/a-lab Observation/a-of-b Observation/a-vital'],
    ['/Observation?patient=ann&category=laboratory', 'Observation/a-lab Observation/a-of-b'],
    // though the CompartmentDefinition leaves these out
    ['/Device', 'Device/a-meter'],
    ['/Task', 'Task/a-task'],
    ['/Practitioner', 'Practitioner/doc'],
    ['/Organization', 'Organization/clinic'],
    ['/Patient/ann/Observation', 'Observation/a-lab Observation/a-of-b Observation/a-vital'],
    ['/Observation?_id=a-lab,b-lab', 'Observation/a-lab'],
    ['/?_type=Device,Task', 'Device/a-meter Task/a-task'],
    ['/Observation?_filter=code eq 8867-4 and category eq vital-signs', 'Observation/a-vital'],
  ])('search: %s', async (path, ids) => {
    expect(await found(ann, path)).toBe(ids);
  });

  test.each([
    ['/Observation?has-member.subject:Patient.name=bob', ''],
    ['/Observation?has-member.code=8867-4', ''],
    ['/Patient?_has:Observation:patient:code=8867-4', 'Patient/ann'],
    ['/Observation?_has:Observation:has-member:status=final', ''],
    ['/Practitioner?_has:Patient:general-practitioner:name=bob', ''],
    ['/Practitioner?_has:Patient:general-practitioner:name=ann', 'Practitioner/doc'],
    ['/Observation?_list=b-list', ''],
    ['/Observation?_id=a-of-b&_include=Observation:has-member', 'Observation/a-of-b'],
    ['/Observation?_id=a-lab&_revinclude=Observation:has-member', 'Observation/a-lab'],
    ['/Observation?_id=a-lab&_revinclude=List:item', 'Observation/a-lab'],
    ['/Patient?_revinclude=Device:patient', 'Device/a-meter Patient/ann'],
    ['/Practitioner?_revinclude=Patient:general-practitioner', 'Patient/ann Practitioner/doc'],
    ['/Observation?_id=a-vital&_include=Observation:performer', 'Observation/a-vital Practitioner/doc'],
  ])('joins do not look at what others have: %s', async (path, ids) => {
    expect(await found(ann, path)).toBe(ids);
  });

  test('counts are of what may be seen', async () => {
    const { body } = await ann('get', '/Observation?_summary=count').expect(200);
    expect(body.total).toBe(3);
    const { body: page } = await ann('get', '/Observation?_total=accurate&_count=1').expect(200);
    expect(page.total).toBe(3);
  });

  test.each([
    '/Observation?patient=bob',
    '/Observation?patient=Patient/bob',
    '/Observation?subject=Patient/bob,Patient/nobody',
    '/Patient/bob/Observation',
    '/Observation?patient=nobody',
  ])('a search that names another patient is 403: %s', async (path) => {
    const { body } = await ann('get', path).expect(403);
    expect((body as OperationOutcome).issue[0]?.code).toBe('forbidden');
  });

  /** What answers say but for the id that was asked for. */
  const told = async (as: Asking, method: Parameters<Asking>[0], path: string, body?: object) => {
    const request = as(method, path).set('Accept', 'application/fhir+json');
    const answer =
      body === undefined
        ? await request
        : await request.type('application/fhir+json').send(JSON.stringify(body));
    const id = path.split('?')[0]?.split('/')[2] as string;
    const { date, 'x-request-id': request_, etag, ...headers } = answer.headers;
    return {
      status: answer.status,
      text: answer.text?.replaceAll(id, 'ID'),
      headers: { ...headers, 'content-length': undefined },
      etag: etag?.length,
    };
  };

  test.each([
    ['get', '/Observation/%', ''],
    ['head', '/Observation/%', ''],
    ['get', '/Observation/%/_history', ''],
    ['get', '/Observation/%/_history/1', ''],
    ['get', '/Observation/%/$meta', ''],
    ['delete', '/Observation/%', ''],
    ['put', '/Observation/%', 'ann'],
    ['put', '/Observation/%', 'bob'],
  ] as const)(
    'what one may not see is as if it had never been: %s %s',
    async (method, path, subject: string) => {
      const ask = (id: string) =>
        told(
          ann,
          method,
          path.replace('%', id),
          subject === '' ? undefined : { resourceType: 'Observation', id, ...observation(subject, LAB) },
        );
      const hidden = await ask('b-lab');
      expect(hidden).toEqual(await ask('x-lab'));
      expect(hidden.status).toBe(method === 'delete' ? 204 : 404);
      await app.send('get', '/Observation/b-lab').expect(200);
    },
  );

  test('what was deleted is as if it had never been, too', async () => {
    await ann('get', '/Encounter/gone').expect(404);
    await ann('get', '/Encounter/gone/_history').expect(404);
    await app.send('get', '/Encounter/gone').expect(410);
  });

  test('histories of types and of all hold only what may be seen', async () => {
    for (const path of ['/Observation/_history?_count=100', '/_history?_count=100']) {
      const { body, text } = await ann('get', path).expect(200);
      expect(idsOf(body)).toContain('Observation/a-lab');
      expect(text).not.toMatch(/"id":"b-|Patient\/bob"[^}]*"id"|"id":"bob"/);
    }
  });

  test('R4 http.html#paging: pages are full, and lose and repeat nothing, however much is hidden between', async () => {
    const mine: string[] = [];
    for (let i = 0; i < 45; i++) {
      const isMine = i % 9 === 0;
      const id = `paged-${i}`;
      await app.create('Flag', id, {
        status: 'active',
        code: { text: 'x' },
        subject: { reference: `Patient/${isMine ? 'ann' : 'bob'}` },
      });
      if (isMine) mine.unshift(`Flag/${id}`);
    }
    const shown: string[][] = [];
    for (let path: string | undefined = '/Flag/_history?_count=2'; path !== undefined; ) {
      const { body }: Response = await ann('get', path).expect(200);
      shown.push(((body as Bundle).entry ?? []).map(({ resource }) => `Flag/${resource?.id}`));
      path = (body as Bundle).link?.find(({ relation }) => relation === 'next')?.url.replace(app.base, '');
    }
    expect(shown.flat()).toEqual(mine);
    expect(shown.map(({ length }) => length)).toEqual([2, 2, 1]);
  });

  test('a version that was about somebody else is not shown, and its resource is not where it is so now', async () => {
    await app.create('Observation', 'moved', observation('bob', LAB));
    const body = (patient: string) => ({
      resourceType: 'Observation',
      id: 'moved',
      ...observation(patient, LAB),
    });
    await app.send('put', '/Observation/moved').type('application/fhir+json').send(body('ann')).expect(200);
    await ann('get', '/Observation/moved').expect(200);
    await ann('get', '/Observation/moved/_history/2').expect(200);
    await ann('get', '/Observation/moved/_history/1').expect(404);
    const { body: history } = await ann('get', '/Observation/moved/_history').expect(200);
    expect((history as Bundle).entry).toHaveLength(1);
    expect((history as Bundle).total).toBeUndefined();
    await app.send('put', '/Observation/moved').type('application/fhir+json').send(body('bob')).expect(200);
    await ann('get', '/Observation/moved/_history/2').expect(404);
    await ann('get', '/Observation/moved/_history').expect(404);
    await app.send('delete', '/Observation/moved').expect(204);
  });

  test('$everything holds no more than searches do', async () => {
    const { body } = await ann('get', '/Patient/ann/$everything').expect(200);
    const ids = idsOf(body);
    expect(ids).toContain('Observation/a-of-b');
    expect(ids).not.toMatch(/\/b-|Patient\/bob/);
    await ann('get', '/Patient/bob/$everything').expect(404);
  });
});

describe('writes are judged on what was there and on what comes', () => {
  const send = (
    method: 'post' | 'put' | 'patch',
    path: string,
    body: object,
    type = 'application/fhir+json',
  ) => ann(method, path).type(type).send(JSON.stringify(body));

  test('one may create for the patient, and for nobody else', async () => {
    await send('post', '/Observation', { resourceType: 'Observation', ...observation('ann', VITAL) }).expect(
      201,
    );
    for (const patient of ['bob', 'nobody'])
      await send('post', '/Observation', {
        resourceType: 'Observation',
        ...observation(patient, VITAL),
      }).expect(403);
    await send('post', '/Observation', {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'x' },
    }).expect(403);
    await send('post', '/Practitioner', { resourceType: 'Practitioner' }).expect(403);
    await send('post', '/Patient', { resourceType: 'Patient' }).expect(403);
  });

  test('one may not give away what is there, nor take over what is not one’s own', async () => {
    const body = (patient: string) => ({
      resourceType: 'Observation',
      id: 'a-vital',
      ...observation(patient, VITAL),
    });
    await send('put', '/Observation/a-vital', body('bob')).expect(403);
    await send('put', '/Observation/a-vital', body('ann')).expect(200);
    const patch = [{ op: 'replace', path: '/subject/reference', value: 'Patient/bob' }];
    await send('patch', '/Observation/a-vital', patch, 'application/json-patch+json').expect(403);
    const own = [{ op: 'replace', path: '/status', value: 'amended' }];
    await send('patch', '/Observation/a-vital', own, 'application/json-patch+json').expect(200);
    await send('patch', '/Observation/b-lab', own, 'application/json-patch+json').expect(404);
    const meta = {
      resourceType: 'Parameters',
      parameter: [{ name: 'meta', valueMeta: { tag: [{ code: 'x' }] } }],
    };
    await send('post', '/Observation/b-lab/$meta-add', meta).expect(404);
    await send('post', '/Observation/a-vital/$meta-add', meta).expect(200);
  });

  test('conditions find only what may be seen', async () => {
    const identifier = [{ system: 'http://x', value: '1' }];
    await app.create('Observation', 'b-known', { ...observation('bob', LAB), identifier });
    const body = { resourceType: 'Observation', ...observation('ann', LAB), identifier };
    const { body: created } = await send('post', '/Observation', body)
      .set('If-None-Exist', 'identifier=http://x|1')
      .expect(201);
    const { body: again } = await send('post', '/Observation', body)
      .set('If-None-Exist', 'identifier=http://x|1')
      .expect(200);
    expect(again.id).toBe(created.id);
    await send('put', '/Observation?identifier=http://x|1', body).expect(200);
    await ann('delete', '/Observation?identifier=http://x|1').expect(204);
    await app.send('get', '/Observation/b-known').expect(200);
    await ann('get', `/Observation/${created.id}`).expect(410);
    await send('put', '/Observation?identifier=http://x|1', { ...body, id: 'b-known' }).expect(403);
  });

  test('a transaction is refused as a whole for one entry, and reads in it see no more', async () => {
    const entry = (patient: string) => ({
      resource: { resourceType: 'Observation', ...observation(patient, VITAL) },
      request: { method: 'POST', url: 'Observation' },
    });
    const bundle = (...entries: object[]) => ({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: entries,
    });
    const { body } = await send('post', '/', bundle(entry('ann'), entry('bob'))).expect(403);
    expect((body as OperationOutcome).issue[0]?.expression).toEqual(['Bundle.entry[1]']);
    await send(
      'post',
      '/',
      bundle(entry('ann'), { request: { method: 'GET', url: 'Observation/b-lab' } }),
    ).expect(404);
    const batch = {
      ...bundle(
        { request: { method: 'GET', url: 'Observation/b-lab' } },
        { request: { method: 'GET', url: 'Observation?_summary=count' } },
      ),
      type: 'batch',
    };
    const { body: answers } = await send('post', '/', batch).expect(200);
    expect((answers as Bundle).entry?.map(({ response }) => response?.status.slice(0, 3))).toEqual([
      '404',
      '200',
    ]);
  });

  test('a conditional reference leads to no other patient', async () => {
    const resource = {
      resourceType: 'Observation',
      ...observation('ann', LAB),
      hasMember: [to('Observation?identifier=http://x|1')],
    };
    const entry = [{ resource, request: { method: 'POST', url: 'Observation' } }];
    await send('post', '/', { resourceType: 'Bundle', type: 'transaction', entry }).expect(412);
  });
});

describe('Binaries are seen by who sees what they belong to (decision 10)', () => {
  const bytes = async (id: string, owner: string) => {
    await app
      .send('put', `/Binary/${id}`)
      .type('text/plain')
      .set('X-Security-Context', owner)
      .send('secret')
      .expect(201);
  };
  test('by securityContext, whoever refers to them', async () => {
    await bytes('a-bytes', 'Patient/ann');
    await bytes('b-bytes', 'Patient/bob');
    await app.send('put', '/Binary/free').type('text/plain').send('secret').expect(201);
    await ann('get', '/Binary/a-bytes').expect(200, 'secret');
    await ann('get', '/Binary/b-bytes').expect(404);
    await ann('get', '/Binary/free').expect(404);
    const document = (id: string) => ({
      resourceType: 'DocumentReference',
      status: 'current',
      subject: to('Patient/ann'),
      content: [{ attachment: { url: `Binary/${id}` } }],
    });
    const post = (body: object) =>
      ann('post', '/DocumentReference').type('application/fhir+json').send(JSON.stringify(body));
    await post(document('b-bytes')).expect(201);
    await ann('get', '/Binary/b-bytes').expect(404);
    await ann('get', '/Binary/b-bytes/_history/1').expect(404);
    await ann('get', '/Binary/b-bytes').set('Accept', 'application/fhir+json').expect(404);
    await post(document('free')).expect(201);
    await ann('get', '/Binary/free').expect(200);
  });

  test('one writes none that belongs to others', async () => {
    const put = (id: string, owner?: string) => {
      const request = ann('put', `/Binary/${id}`).type('text/plain');
      return owner ? request.set('X-Security-Context', owner).send('mine') : request.send('mine');
    };
    await put('b-bytes').expect(404);
    await put('unknown').expect(404);
    await put('a-bytes', 'Patient/ann').expect(200);
    await put('a-bytes', 'Patient/bob').expect(403);
    await ann('post', '/Binary')
      .type('text/plain')
      .set('X-Security-Context', 'Patient/bob')
      .send('x')
      .expect(403);
    await ann('post', '/Binary')
      .type('text/plain')
      .set('X-Security-Context', 'Patient/ann')
      .send('x')
      .expect(201);
  });
});

describe('granular scopes (SMART 2.2 #finer-grained-resource-constraints)', () => {
  const CATEGORY = 'http://terminology.hl7.org/CodeSystem/observation-category';
  test('a query is judged on each resource, in all ways to it', async () => {
    const lab = await asking(
      app,
      `patient/Observation.rs?category=${CATEGORY}|laboratory patient/Patient.r`,
      { patient: 'ann' },
    );
    expect(await found(lab, '/Observation?status=final')).not.toMatch(/vital|\/b-/);
    await lab('get', '/Observation/a-lab').expect(200);
    await lab('get', '/Observation/a-vital').expect(404);
    await lab('get', '/Observation/a-vital/_history').expect(404);
    await lab('get', '/Patient?name=ann').expect(403);
    await lab('get', '/Patient/ann').expect(200);
    await lab('get', '/Device').expect(403);
  });

  test('several are alternatives; each letter means itself', async () => {
    const scope = `patient/Observation.r?category=${CATEGORY}|laboratory patient/Observation.s?category=${CATEGORY}|vital-signs`;
    const both = await asking(app, scope, { patient: 'ann' });
    expect(await found(both, '/Observation?_count=100')).toMatch(/^Observation\/[^ ]*( |$)/);
    expect(await found(both, '/Observation?_id=a-lab,a-vital')).toBe('Observation/a-vital');
    await both('get', '/Observation/a-lab').expect(200);
    await both('get', '/Observation/a-vital').expect(404);
  });

  test('of a system, over all patients', async () => {
    const lab = await asking(app, `system/Observation.rs?category=${CATEGORY}|laboratory`);
    expect(await found(lab, '/Observation?_id=a-lab,a-vital,b-lab')).toBe(
      'Observation/a-lab Observation/b-lab',
    );
    await lab('get', '/Observation?__explain=true').expect(403);
  });
});

describe('of other patients nothing is learned (R4 security-labels.html)', () => {
  const appointment = {
    status: 'booked',
    text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Ann and Bob</div>' },
    contained: [{ resourceType: 'Patient', id: 'in', name: [{ family: 'Bob' }] }],
    minutesDuration: 30,
    extension: [{ url: 'http://x', valueDecimal: 1 }],
    participant: [
      { actor: { reference: 'Patient/ann' }, status: 'accepted' },
      { actor: { reference: 'Patient/bob', display: 'Bob' }, status: 'accepted' },
      { actor: { reference: '#in' }, status: 'accepted' },
    ],
  };
  beforeAll(async () => {
    const text = JSON.stringify({ resourceType: 'Appointment', id: 'both', ...appointment }).replace(
      '"valueDecimal":1',
      '"valueDecimal":1.00',
    );
    await app.send('put', '/Appointment/both').type('application/fhir+json').send(text).expect(201);
  });

  test.each([
    '/Appointment/both',
    '/Appointment/both/_history/1',
    '/Appointment/both/_history',
    '/Appointment?patient=ann',
    '/Patient/ann/$everything',
  ])('references to them, narrative and what is contained are masked: %s', async (path) => {
    const { text } = await ann('get', path).expect(200);
    expect(text).toContain('"Patient/ann"');
    expect(text).toContain('"valueDecimal":1.00');
    expect(text).toContain('"code":"MASKED"');
    expect(text).not.toMatch(/Appointment.*bob/i);
    await app.send('get', '/Appointment/both').expect(200).expect(/Bob/);
  });

  test.each([
    ['slashes', (text: string) => text.replaceAll('/', '\\/')],
    ['letters of values', (text: string) => text.replaceAll('Patient/b', '\\u0050atient/\\u0062')],
    ['letters of names', (text: string) => text.replaceAll('"reference"', '"\\u0072eference"')],
  ])('R4 json.html: also where their writer escapes %s', async (_, escaped) => {
    const text = escaped(JSON.stringify({ resourceType: 'Appointment', id: 'escaped', ...appointment }));
    await app
      .send('put', '/Appointment/escaped')
      .type('application/fhir+json')
      .send(text)
      .expect(({ status }) => expect([200, 201]).toContain(status));
    const { body, text: shown } = await ann('get', '/Appointment/escaped').expect(200);
    expect(shown).not.toMatch(/bob/i);
    expect(body.participant).toHaveLength(3);
    await ann('put', '/Appointment/escaped').type('application/fhir+json').send(body).expect(403);
    await app.send('delete', '/Appointment/escaped').expect(204);
  });

  test('nor by looking for them: by reference, id, compartment, identifier, in an expression, or in what conditions ask', async () => {
    const self = await asking(app, 'user/*.cruds', { fhirUser: 'Patient/ann' });
    for (const query of [
      'patient=Patient/bob',
      'patient=bob',
      'actor=Patient/bob',
      `actor=${app.base}/Patient/bob`,
      '_filter=patient%20re%20Patient/bob',
    ])
      expect(await found(self, `/Appointment?${query}`)).toBe('');
    expect(await found(self, '/Patient/bob/Appointment')).toBe('');
    expect(await found(self, '/Patient?_has:Appointment:patient:actor=Patient/bob')).toBe('');
    // What is masked is as if it were not there.
    expect(await found(self, '/Appointment?_filter=not%20(actor%20re%20Patient/bob)')).toBe(
      'Appointment/both',
    );
    expect(await found(self, '/Appointment?actor=Patient/bob,Patient/ann')).toBe('Appointment/both');
    await self('get', '/Appointment?actor:identifier=MRN-BOB').expect(403);
    await self('delete', '/Appointment?patient=Patient/bob').expect(204);
    await app.send('get', '/Appointment/both').expect(200);
  });

  test('in Bundles too', async () => {
    const entry = [{ request: { method: 'GET', url: 'Appointment/both' } }];
    for (const type of ['batch', 'transaction']) {
      const { text } = await ann('post', '/')
        .type('application/fhir+json')
        .send({ resourceType: 'Bundle', type, entry })
        .expect(200);
      expect(text).not.toMatch(/bob/i);
    }
  });

  test('what is shown in part is not replaced by that part, but may be patched', async () => {
    const { body } = await ann('get', '/Appointment/both').expect(200);
    await ann('put', '/Appointment/both').type('application/fhir+json').send(body).expect(403);
    const patch = [{ op: 'replace', path: '/minutesDuration', value: 45 }];
    const patched = await ann('patch', '/Appointment/both')
      .type('application/json-patch+json')
      .send(patch)
      .expect(200);
    expect(patched.text).not.toMatch(/bob/i);
    const { body: whole } = await app.send('get', '/Appointment/both').expect(200);
    expect(whole.participant).toHaveLength(3);
    expect(whole.minutesDuration).toBe(45);
  });

  test('R4 references.html#logical: nor by identifiers and displays, of whom nobody can tell whose they are', async () => {
    const identifier = { system: 'http://hospital.example/mrn', value: 'MRN-BOB' };
    await app.create('Communication', 'logical', {
      status: 'completed',
      subject: { identifier, display: 'Bob' },
      about: [
        { type: 'Patient', identifier },
        { reference: 'Patient/bob', identifier, display: 'Bob' },
      ],
      sender: { type: 'Practitioner', identifier: { value: 'LICENCE' }, display: 'Dr. Doc' },
      recipient: [
        { reference: 'Patient/ann', display: 'Ann' },
        { display: 'Bob', type: 'Patient' },
      ],
    });
    for (const path of [
      '/Communication/logical',
      '/Communication/logical/_history',
      '/Communication?recipient=Patient/ann',
    ]) {
      const { text } = await ann('get', path).expect(200);
      expect(text).toMatch(/"Ann".*LICENCE|LICENCE.*"Ann"/);
      expect(text).not.toMatch(/bob/i);
    }
    await app
      .send('get', '/Communication/logical')
      .expect(200)
      .expect(/MRN-BOB.*MRN-BOB/);
  });

  test('whoever may see them sees them', async () => {
    const doc = await asking(app, 'user/*.rs', { fhirUser: 'Practitioner/doc' });
    await doc('get', '/Appointment/both')
      .expect(200)
      .expect(/Patient\/bob/);
  });
});
