/** `$link` on rendered frames: for `<img>`, which sends no access token. */
import request, { type Test } from 'supertest';
import { image } from '../../imaging/files.ts';
import { tokenFor } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, dicomwebOf, jsonOf } from './dicomweb.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: '*=https://hospital.example/mrn', AUDIT: 'strict' });
  for (const id of ['ann', 'bob'])
    await app.create('Patient', id, { identifier: [{ system: 'https://hospital.example/mrn', value: id }] });
  await stow([image({ study: '1.2.5', instance: '1.2.5.1.1', patient: 'ann', frames: 2 })]);
});
afterAll(() => app.close());
const { send, stow } = dicomwebOf(() => app);

const FRAME = '/studies/1.2.5/series/1.2.5.1/instances/1.2.5.1.1/frames/2/rendered';

/** Without an access token. */
const follow = (url: string): Test =>
  asBytes(
    request(app.url).get(url.replace('https://fhir.example.org', '')).set('Accept', 'image/avif,image/*,*/*'),
  );

async function linkTo(path: string, token?: string): Promise<string> {
  const { url, expires } = jsonOf(await send('get', path, token).expect(200));
  expect(Date.parse(expires) - Date.now()).toBeLessThanOrEqual(600_000);
  expect(Date.parse(expires) - Date.now()).toBeGreaterThan(590_000);
  return url;
}

test('leads to that frame, as it was asked for', async () => {
  const url = await linkTo(`${FRAME}/$link?window=20,40&accept=image/png`);
  const linked = await follow(url).expect(200).expect('Content-Type', 'image/png');
  const { body } = await send('get', `${FRAME}?window=20,40&accept=image/png`).expect(200);
  expect(linked.body.equals(body)).toBe(true);
  const plain = await follow(await linkTo(`${FRAME}/$link`)).expect(200);
  expect(plain.headers['content-type']).toBe('image/jpeg');
  const small = await follow(await linkTo(`${FRAME.replace('rendered', 'thumbnail')}/$link`)).expect(200);
  expect(small.headers).toMatchObject({ 'content-type': 'image/jpeg', 'x-content-type-options': 'nosniff' });
});

test('is for that frame alone: changed, or of another sort, it leads nowhere', async () => {
  const url = await linkTo(`${FRAME}/$link`);
  await follow(`${url.slice(0, -2)}AA`).expect(404);
  await follow(`${url}/metadata`).expect(404);
  await follow(url.replace('/dicomweb/', '/fhir/')).expect(404);
  const { body: binary } = await app
    .send('post', '/Binary')
    .type('application/fhir+json')
    .send({ resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' });
  const { body } = await app.send('get', `/Binary/${binary.id}/$link`);
  await follow(body.parameter[0].valueUrl.replace('/fhir/', '/dicomweb/')).expect(404);
  await request(app.url).post(url.replace('https://fhir.example.org', '')).expect(405);
});

test('is for whoever may see the study, and dies with the access token', async () => {
  const bob = await tokenFor(app, 'patient/*.rs', { patient: 'bob' });
  await send('get', `${FRAME}/$link`, bob).expect(403);
  await request(app.url).get(`/dicomweb${FRAME}/$link`).expect(401);
  const ann = await tokenFor(app, 'patient/*.rs', { patient: 'ann' });
  const url = await linkTo(`${FRAME}/$link`, ann);
  await follow(url).expect(200);
  await app.app.pool.query(`update token set expires = now() where number = (select max(number) from token)`);
  await app.app.pool.query('update epoch set value = value + 1');
  await follow(url).expect(410);
});

test('is audited as it is used, and is in no log', async () => {
  const ann = await tokenFor(app, 'patient/*.rs', { patient: 'ann' });
  const url = await linkTo(`${FRAME}/$link`, ann);
  const count = async (): Promise<number> =>
    (await app.app.pool.query(`select count(*)::int from access_log where origin like '%127.0.0.1'`)).rows[0]
      .count;
  const before = await count();
  await follow(url).expect(200);
  expect(await count()).toBe(before + 1);
  expect(app.log.join('')).not.toContain(url.slice(-40));
  expect(app.log.join('')).toContain('/dicomweb/_link/:link');
});
