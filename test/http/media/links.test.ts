/** Links for what sends no access token, and galleries made of them. */
import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { Client } from 'pg';
import request, { type Test } from 'supertest';
import { asking, tokenFor } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, picture, seen, store } from './support.ts';

let app: TestApp;
let id: string;
beforeAll(async () => {
  app = await startApp();
  id = await store(app, 'image/jpeg', await picture('jpeg', { width: 600, height: 300 }));
});
afterAll(() => app.close());

/** Without an access token, as `<img>` does. */
const follow = (url: string): Test => request(app.url).get(url.replace(app.base, '/fhir'));

interface Part {
  readonly name: string;
  readonly part?: readonly Part[];
  readonly [value: string]: unknown;
}
const valueIn = (parts: readonly Part[] | undefined, name: string): string =>
  Object.entries(parts?.find((one) => one.name === name) ?? {}).find(([key]) =>
    key.startsWith('value'),
  )?.[1] as string;

async function linkTo(path: string, token = app.token): Promise<string> {
  const { body } = await app.send('get', `${path}/$link`).set('Authorization', `Bearer ${token}`).expect(200);
  const left = Date.parse(valueIn(body.parameter, 'expires')) - Date.now();
  expect(left).toBeGreaterThan(590_000);
  expect(left).toBeLessThanOrEqual(600_000);
  return valueIn(body.parameter, 'url');
}

describe('$link', () => {
  test('leads to the bytes without an access token, whole and in ranges', async () => {
    const url = await linkTo(`/Binary/${id}`);
    const whole = await asBytes(follow(url)).expect(200);
    expect(await seen(whole.body)).toMatchObject({ width: 600 });
    const part = await asBytes(follow(url)).set('Range', 'bytes=5-9').expect(206);
    expect(part.body.equals(whole.body.subarray(5, 10))).toBe(true);
    expect(part.headers['content-range']).toBe(`bytes 5-9/${whole.body.length}`);
    expect(whole.headers).toMatchObject({ 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff' });
    await request(app.url).head(url.replace(app.base, '/fhir')).expect(200);
  });

  test('of a Media, and of a small picture', async () => {
    await app.create('Media', 'linked', { status: 'completed', content: { url: `Binary/${id}` } });
    const { body } = await app.send('get', '/Media/linked/$link?size=256').expect(200);
    const small = await asBytes(follow(valueIn(body.parameter, 'url'))).expect(200);
    expect(await seen(small.body)).toMatchObject({ format: 'jpeg', width: 256 });
  });

  test('is for one thing: changed, it leads nowhere', async () => {
    const url = await linkTo(`/Binary/${id}`);
    for (const other of [`${url.slice(0, -2)}AA`, `${app.base}/_link/x`, `${app.base}/_link/${id}`])
      await follow(other).expect(404);
    await request(app.url).post(url.replace(app.base, '/fhir')).expect(405);
  });

  test('dies with the access token that it came from', async () => {
    const token = await app.app.issueToken({ scope: 'system/*.rs', client: 'test', minutes: 5 });
    const url = await linkTo(`/Binary/${id}`, token);
    await follow(url).expect(200);
    await app.app.pool.query(
      `update token set expires = now() where number = (select max(number) from token)`,
    );
    await app.app.pool.query('update epoch set value = value + 1');
    await follow(url).expect(410);
  });

  test('follows what may be read: what was deleted is gone, what may not be read gets no link', async () => {
    const other = await store(app, 'text/plain', Buffer.from('short-lived'));
    const url = await linkTo(`/Binary/${other}`);
    await follow(url).expect(200);
    await app.send('delete', `/Binary/${other}`).expect(204);
    await follow(url).expect(410);
    await app.send('get', `/Binary/${other}/$link`).expect(410);
    const token = await app.app.issueToken({ scope: 'system/Media.rs', client: 'test', minutes: 5 });
    await app.send('get', `/Binary/${id}/$link`).set('Authorization', `Bearer ${token}`).expect(403);
  });

  test('is in no log', async () => {
    const url = await linkTo(`/Binary/${id}`);
    await follow(url).expect(200);
    expect(app.log.join('')).not.toContain(url.slice(-40));
    expect(app.log.join('')).toContain('/fhir/_link/:id');
  });
});

describe('$gallery', () => {
  beforeAll(async () => {
    await app.create('Patient', 'p', {});
    await app.create('Patient', 'nobody', {});
    for (const n of [1, 2, 3])
      await app.create('Media', `m${n}`, {
        status: 'completed',
        subject: { reference: 'Patient/p' },
        createdDateTime: `2026-01-0${n}`,
        encounter: { reference: 'Encounter/e' },
        content: { url: `Binary/${id}`, title: `picture ${n}` },
      });
    await app.create('Media', 'wrong', {
      ...{ status: 'entered-in-error', subject: { reference: 'Patient/p' }, createdDateTime: '2026-02-01' },
      content: { url: `Binary/${id}` },
    });
    await app.create('DiagnosticReport', 'r', {
      ...{ status: 'final', code: { text: 'Wound' }, media: [{ link: { reference: 'Media/m3' } }] },
    });
  });

  test('newest first, each with a small picture and what it is about; page by page', async () => {
    const { body } = await app.send('get', '/Patient/p/$gallery?_count=2').expect(200);
    const pictures: Part[] = body.parameter.filter(({ name }: Part) => name === 'picture');
    expect(pictures.map(({ part }) => valueIn(part, 'source'))).toEqual([
      { reference: 'Media/m3', display: 'picture 3' },
      { reference: 'Media/m2', display: 'picture 2' },
    ]);
    const about = pictures[0]!.part!.filter(({ name }) => name === 'about');
    expect(about.map((one) => one.valueReference)).toEqual([
      { reference: 'Encounter/e' },
      { reference: 'DiagnosticReport/r', display: 'Wound' },
    ]);
    const small = await asBytes(follow(valueIn(pictures[0]!.part, 'thumbnail'))).expect(200);
    expect(await seen(small.body)).toMatchObject({ format: 'jpeg', width: 256 });
    await follow(valueIn(pictures[0]!.part, 'content')).expect(200);
    const next = await app.send('get', valueIn(body.parameter, 'next').replace(app.base, '')).expect(200);
    expect(next.body.parameter).toHaveLength(1);
    expect(valueIn(next.body.parameter[0].part, 'source')).toMatchObject({ reference: 'Media/m1' });
  });

  test('of reports and documents what is to be seen, too: in large data, in Binaries, without those of others', async () => {
    await app.create('Patient', 'q', {});
    const subject = { reference: 'Patient/q' };
    const large = Buffer.concat([await picture('png', { width: 600, height: 300 }), randomBytes(70_000)]);
    await app.create('DiagnosticReport', 'shown', {
      ...{ status: 'final', code: { text: 'Skin' }, subject, effectiveDateTime: '2026-03-03' },
      basedOn: [{ reference: 'ServiceRequest/s' }],
      presentedForm: [
        { contentType: 'image/png', data: large.toString('base64') },
        { contentType: 'application/pdf', data: 'JVBERi0xLjQ=' },
      ],
    });
    const binary = await store(app, 'image/jpeg', await picture('jpeg'), {
      'X-Security-Context': 'Patient/q',
    });
    await app.create('DocumentReference', 'shown', {
      ...{ status: 'current', type: { text: 'Letter' }, subject, date: '2026-03-02T10:00:00Z' },
      content: [
        { attachment: { contentType: 'image/jpeg', url: `Binary/${binary}`, title: 'scan' } },
        { attachment: { contentType: 'image/jpeg', url: 'https://elsewhere.example/x.jpg' } },
      ],
      context: { related: [{ reference: 'Observation/o' }] },
    });
    // what has nothing to be seen is passed over
    for (let n = 0; n < 5; n++)
      await app.create('DiagnosticReport', `empty-${n}`, {
        ...{ status: 'final', code: { text: 'x' }, subject, effectiveDateTime: `2026-04-0${n + 1}` },
      });
    const { body } = await app.send('get', '/Patient/q/$gallery?_count=2').expect(200);
    const pictures: Part[] = body.parameter.filter(({ name }: Part) => name === 'picture');
    expect(
      pictures.map(({ part }) => [valueIn(part, 'source'), valueIn(part, 'type'), valueIn(part, 'about')]),
    ).toEqual([
      [{ reference: 'DiagnosticReport/shown' }, { text: 'Skin' }, { reference: 'ServiceRequest/s' }],
    ]);
    const small = await asBytes(follow(valueIn(pictures[0]!.part, 'thumbnail'))).expect(200);
    expect(await seen(small.body)).toMatchObject({ format: 'jpeg', width: 256 });
    const next = await app.send('get', valueIn(body.parameter, 'next').replace(app.base, '')).expect(200);
    const [scan, elsewhere] = next.body.parameter as Part[];
    expect(valueIn(scan!.part, 'source')).toEqual({ reference: 'DocumentReference/shown', display: 'scan' });
    await follow(valueIn(scan!.part, 'content')).expect(200);
    expect(elsewhere!.part!.map(({ name }) => name)).not.toContain('content');
    const patient = await asking(app, 'patient/*.rs', { patient: 'q' });
    const own = await patient('get', '/Patient/q/$gallery').expect(200);
    expect(own.body.parameter).toHaveLength(3);
    await follow(valueIn(own.body.parameter[1].part, 'thumbnail')).expect(200);
    const stranger = await asking(app, 'patient/*.rs', { patient: 'p' });
    await stranger('get', '/Patient/q/$gallery').expect(404);
  });

  test('takes as many statements for many pictures as for few', async () => {
    await app.create('Patient', 'few', {});
    await app.create('Patient', 'many', {});
    for (const [patient, n] of [
      ['few', 2],
      ['many', 20],
    ] as const)
      for (let i = 0; i < n; i++)
        await app.create('Media', `${patient}-${i}`, {
          ...{ status: 'completed', subject: { reference: `Patient/${patient}` } },
          content: { url: `Binary/${await store(app, 'text/plain', Buffer.from(`${patient} ${i}`))}` },
        });
    const statements = async (patient: string): Promise<number> => {
      const token = await tokenFor(app, 'patient/*.rs', { patient });
      const gallery = () =>
        app.send('get', `/Patient/${patient}/$gallery`).set('Authorization', `Bearer ${token}`).expect(200);
      await gallery();
      const query = jest.spyOn(Client.prototype, 'query');
      try {
        await gallery();
        return query.mock.calls.length;
      } finally {
        query.mockRestore();
      }
    };
    const few = await statements('few');
    expect(few).toBeGreaterThan(3);
    expect(await statements('many')).toBeLessThanOrEqual(few + 2);
  });

  test('under the access of who asks', async () => {
    const may = async (scope: string): Promise<string> =>
      `Bearer ${await app.app.issueToken({ scope, client: 'test', minutes: 5 })}`;
    const gallery = (authorization: string): Test =>
      app.send('get', '/Patient/p/$gallery').set('Authorization', authorization);
    await gallery(await may('system/Media.rs')).expect(403);
    await gallery(await may('system/Patient.r')).expect(403);
    // the Media may be seen, but not their bytes and the reports
    const { body } = await gallery(await may('system/Patient.r system/Media.rs')).expect(200);
    const names = body.parameter[0].part.map(({ name }: Part) => name);
    expect(names).toEqual(expect.arrayContaining(['source', 'about']));
    expect(names).not.toEqual(expect.arrayContaining(['thumbnail']));
    expect(JSON.stringify(body)).not.toContain('DiagnosticReport');
    await app.send('get', '/Patient/unknown/$gallery').expect(404);
    expect((await app.send('get', '/Patient/nobody/$gallery').expect(200)).body).toEqual({
      resourceType: 'Parameters',
    });
  });
});
