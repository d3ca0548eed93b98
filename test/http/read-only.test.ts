/** READ_ONLY: maintenance (RFC 9110 §15.6.4). */
import { pino } from 'pino';
import request, { type Test } from 'supertest';
import { openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { run } from '../cli/consilium.ts';
import { startApp, type TestApp } from './app.ts';

let before: TestApp;
let url: string;
let close: () => Promise<void>;
const FHIR = 'application/fhir+json';
const PATIENT = { resourceType: 'Patient', id: 'there' };

beforeAll(async () => {
  before = await startApp();
  await before.send('put', '/Patient/there').type(FHIR).send(PATIENT).expect(201);
  const app = await openApp(
    readConfig({ ...settings(), PORT: '0', BASE_URL: 'https://fhir.example.org' }),
    pino({ level: 'silent' }),
  );
  url = `http://127.0.0.1:${(await app.listen()).port}`;
  close = app.close;
});
afterAll(async () => {
  await close();
  await before.close();
});

const settings = () => ({
  READ_ONLY: 'true',
  DATABASE_URL: before.app.pool.options.connectionString as string,
});

const send = (method: 'get' | 'post' | 'put' | 'patch' | 'delete', path: string): Test =>
  request(url)[method](`/fhir${path}`).set('Authorization', `Bearer ${before.token}`);

const changes = async () => (await before.app.pool.query('select count(*) from change')).rows[0].count;

const bundle = (type: string, ...entry: object[]) => ({ resourceType: 'Bundle', type, entry });
const GET = { request: { method: 'GET', url: 'Patient/there' } };
const PUT = { resource: PATIENT, request: { method: 'PUT', url: 'Patient/there' } };
const DELETE = { request: { method: 'DELETE', url: 'Patient/there' } };

test.each([
  ['post', '/Patient', FHIR, '{"resourceType":"Patient"}', {}],
  ['post', '/Patient', FHIR, '{"resourceType":"Patient"}', { 'If-None-Exist': 'identifier=a|b' }],
  ['put', '/Patient/there', FHIR, PATIENT, {}],
  ['put', '/Patient/new', FHIR, { ...PATIENT, id: 'new' }, { 'If-None-Match': '*' }],
  ['put', '/Patient?identifier=a|b', FHIR, { resourceType: 'Patient' }, {}],
  ['patch', '/Patient/there', 'application/json-patch+json', '[]', {}],
  ['delete', '/Patient/there', undefined, undefined, {}],
  ['delete', '/Patient?identifier=a|b', undefined, undefined, {}],
  ['post', '/Binary', 'text/plain', 'x', {}],
  ['put', '/Binary/b', FHIR, { resourceType: 'Binary', id: 'b', contentType: 'text/plain' }, {}],
  ['post', '', FHIR, bundle('transaction', GET, PUT), {}],
  ['post', '/Patient', FHIR, '{"resourceType":"Patient"}', { Prefer: 'respond-async' }],
  ['delete', '/_async/00000000-0000-4000-8000-000000000000', undefined, undefined, {}],
] as const)('%s %s %s %j %j is 503 with Retry-After', async (method, path, type, body, headers) => {
  const was = await changes();
  const sent = send(method, path).set(headers);
  if (type) sent.type(type);
  const answer = await sent.send(body as object).expect(503);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(answer.body.issue).toMatchObject([
    { code: 'transient', diagnostics: expect.stringMatching(/maintenance/) },
  ]);
  expect(await changes()).toBe(was);
});

test('reads go on: read, search, history, batches and transactions of them', async () => {
  await send('get', '/Patient/there').expect(200);
  await send('get', '/Patient').expect(200);
  await send('post', '/Patient/_search').type('form').send('_id=there').expect(200);
  await send('get', '/_history').expect(200);
  await send('get', '/metadata').expect(200);
  await send('post', '').type(FHIR).send(bundle('transaction', GET)).expect(200);
});

test('of a batch, the entries that write are refused', async () => {
  const { body } = await send('post', '')
    .type(FHIR)
    .send(bundle('batch', GET, PUT, DELETE))
    .expect(200);
  expect(
    body.entry.map(({ response }: { response: { status: string } }) => response.status.slice(0, 3)),
  ).toEqual(['200', '503', '503']);
});

test('RFC 7240 §2: a preference to be answered later is passed over, as that would be kept', async () => {
  const { body } = await send('get', '/Patient/there').set('Prefer', 'respond-async').expect(200);
  expect(body.id).toBe('there');
  expect((await before.app.pool.query('select from job')).rowCount).toBe(0);
});

test('what came of earlier requests can be asked for', async () => {
  const asked = await before.send('get', '/Patient/there').set('Prefer', 'respond-async').expect(202);
  const status = (asked.headers['content-location'] as string).slice(before.base.length);
  await send('get', status).expect((answer) => expect([200, 202]).toContain(answer.status));
});

test('consilium load does not load', async () => {
  const { code, err } = await run(['load', import.meta.filename], { env: settings() });
  expect(code).not.toBe(0);
  expect(err).toContain('READ_ONLY is set');
});
