import { startApp, type TestApp } from './app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const FHIR = 'application/fhir+json';
const p = (n: string, more = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:s', value: n }],
  ...more,
});
const send = (type: string, ...entry: unknown[]) =>
  app.send('post', '/').type(FHIR).send({ resourceType: 'Bundle', type, entry });
test('scratch', async () => {
  const show = (what: string, r: any) =>
    console.log(
      what,
      r.status,
      JSON.stringify(r.headers.etag),
      r.headers.location,
      JSON.stringify(r.body).slice(0, 900),
    );
  const c = () =>
    app.send('post', '/Patient').type(FHIR).set('If-None-Exist', 'identifier=urn:s|1').send(p('1'));
  show('cc1', await c());
  show('cc2', await c());
  await app.send('post', '/Patient').type(FHIR).send(p('1'));
  show('cc3', await c());
  show('cu0', await app.send('put', '/Patient?identifier=urn:s|2').type(FHIR).send(p('2')));
  show(
    'cu1',
    await app
      .send('put', '/Patient?identifier=urn:s|2')
      .type(FHIR)
      .send(p('2', { active: true })),
  );
  show(
    'cu id',
    await app
      .send('put', '/Patient?identifier=urn:s|3')
      .type(FHIR)
      .send(p('3', { id: 'three' })),
  );
  show(
    'cu badid',
    await app
      .send('put', '/Patient?identifier=urn:s|3')
      .type(FHIR)
      .send(p('3', { id: 'four' })),
  );
  show(
    'cp',
    await app
      .send('patch', '/Patient?identifier=urn:s|3')
      .type('application/json-patch+json')
      .send([{ op: 'add', path: '/active', value: true }]),
  );
  show(
    'cp0',
    await app
      .send('patch', '/Patient?identifier=urn:s|33')
      .type('application/json-patch+json')
      .send([{ op: 'add', path: '/active', value: true }]),
  );
  show(
    'fp',
    await app
      .send('patch', '/Patient/three')
      .type(FHIR)
      .send({
        resourceType: 'Parameters',
        parameter: [
          {
            name: 'operation',
            part: [
              { name: 'type', valueCode: 'replace' },
              { name: 'path', valueString: 'Patient.active' },
              { name: 'value', valueBoolean: false },
            ],
          },
        ],
      }),
  );
  show('cd', await app.send('delete', '/Patient?identifier=urn:s|3'));
  show('cd0', await app.send('delete', '/Patient?identifier=urn:s|3'));
  show('cdN', await app.send('delete', '/Patient?identifier=urn:s|1'));
  show(
    'tx',
    await send(
      'transaction',
      { request: { method: 'GET', url: 'Patient?identifier=urn:s|9' } },
      {
        resource: {
          resourceType: 'Observation',
          status: 'final',
          code: { text: 'x' },
          subject: { reference: 'Patient?identifier=urn:s|9' },
        },
        request: { method: 'POST', url: 'Observation' },
      },
      {
        fullUrl: 'urn:uuid:1',
        resource: p('9'),
        request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:s|9' },
      },
      { resource: p('9'), request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:s|9' } },
      { resource: p('2', { gender: 'male' }), request: { method: 'PUT', url: 'Patient?identifier=urn:s|2' } },
      { request: { method: 'GET', url: 'Observation?patient.identifier=1' } },
    ),
  );
  show(
    'tx',
    await send(
      'transaction',
      { request: { method: 'GET', url: 'Patient?identifier=urn:s|9' } },
      {
        resource: {
          resourceType: 'Observation',
          status: 'final',
          code: { text: 'x' },
          subject: { reference: 'Patient?identifier=urn:s|9' },
        },
        request: { method: 'POST', url: 'Observation' },
      },
      {
        fullUrl: 'urn:uuid:1',
        resource: p('9'),
        request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:s|9' },
      },
      { resource: p('9'), request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:s|9' } },
      { resource: p('2', { gender: 'male' }), request: { method: 'PUT', url: 'Patient?identifier=urn:s|2' } },
    ),
  );
  show(
    'batch',
    await send(
      'batch',
      { request: { method: 'GET', url: 'Patient?identifier=urn:s|9' } },
      { request: { method: 'GET', url: 'Patient/none' } },
      { resource: p('10'), request: { method: 'POST', url: 'Patient' } },
      { resource: { ...p('10'), gender: 'x' }, request: { method: 'POST', url: 'Patient' } },
      { request: { method: 'DELETE', url: 'Patient?identifier=urn:s|9' } },
    ),
  );
  const rs = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      app
        .send('post', '/Patient')
        .type(FHIR)
        .set('If-None-Exist', i % 2 ? 'identifier=urn:s|77' : 'identifier=77&active=true')
        .send(p('77', { active: true })),
    ),
  );
  console.log(rs.map((r) => r.status).join());
}, 30000);
