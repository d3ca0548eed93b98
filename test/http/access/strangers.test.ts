/** Who was not let in is in the audit trail, bounded (IHE ITI TF-2 3.20; OWASP ASVS 5.0 16.3.1). */
import type { AuditEvent, Bundle } from 'fhir/r4.js';
import request from 'supertest';
import { makeStrangers } from '../../../src/http/strangers.ts';
import type { Happened } from '../../../src/records/records.ts';
import { startApp, type TestApp } from '../app.ts';

describe('over HTTP', () => {
  let app: TestApp;
  let events: AuditEvent[];

  beforeAll(async () => {
    app = await startApp({ TRUST_PROXY: '1', BASE_URL: 'http://localhost' });
    const from = (address: string) => ({ 'X-Forwarded-For': address });
    const get = (path: string, headers: Record<string, string>) => request(app.url).get(path).set(headers);
    for (let n = 0; n < 3; n++)
      await get('/fhir/Patient', {
        ...from('203.0.113.1'),
        Authorization: `Bearer secret-guess-${n}`,
      }).expect(401);
    await get('/fhir/Patient/ann', from('203.0.113.1')).expect(401);
    await get('/fhir/Patient', { ...from('203.0.113.1'), Authorization: 'Basic YTpi' }).expect(401);
    await get('/dicomweb/studies', from('203.0.113.2')).expect(401);
    await get('/uploads/x', { ...from('203.0.113.2'), 'Tus-Resumable': '1.0.0' }).expect(401);
    await get('/auth/whoami', { ...from('203.0.113.2'), Authorization: 'Bearer x' }).expect(401);

    const page = await get('/auth/sign-in', {});
    const stamp = /name="stamp" value="([^"]+)"/.exec(page.text)?.[1] as string;
    const signIn = (address: string) =>
      request(app.url)
        .post('/auth/sign-in')
        .type('form')
        .set({ Origin: 'http://localhost', ...from(address) })
        .send({ stamp, username: 'somebody', password: 'a wrong password' });
    for (let n = 0; n < 5; n++) await signIn('203.0.113.3').expect(401);
    for (let n = 0; n < 4; n++) await signIn('203.0.113.3').expect(429);

    // What was counted is written with the minute, and when a process ends.
    await app.app.close();
    const next = await startApp({}, app.database);
    const { body } = await next.send('get', '/AuditEvent?type=110114&_count=100').expect(200);
    events = ((body as Bundle<AuditEvent>).entry ?? []).map(({ resource }) => resource as AuditEvent);
    await next.app.close();
  });
  afterAll(() => app.drop());

  const of = (address: string, subtype: string) =>
    events.filter(
      ({ agent, subtype: [code] = [] }) => agent[0]?.network?.address === address && code?.code === subtype,
    );

  test.each([
    ['203.0.113.1', '401, 5 times'],
    ['203.0.113.2', '401, 3 times'],
  ])('requests from %s without a valid token are one entry, with how many they were', (address, desc) => {
    expect(of(address, 'ITI-72')).toEqual([
      expect.objectContaining({ outcome: '4', outcomeDesc: desc, action: 'E' }),
    ]);
  });

  test('attempts while nobody is let try are one entry, beside one for each that was looked at', () => {
    const signIns = of('203.0.113.3', '110122');
    expect(signIns.map(({ outcomeDesc }) => outcomeDesc).sort()).toEqual([
      ...Array(5).fill('403'),
      '429, 4 times',
    ]);
    expect(signIns.every(({ agent }) => agent[0]?.altId === 'somebody')).toBe(true);
  });

  test('no token that was shown, nor password, is in it', () => {
    expect(JSON.stringify(events)).not.toMatch(/secret-guess|wrong password/);
  });
});

describe('bounded', () => {
  const noted: Happened[] = [];
  const strangers = () =>
    makeStrangers(
      async (happened) => {
        noted.push(happened);
      },
      () => {},
    );
  beforeEach(() => {
    noted.length = 0;
  });

  test('a hundred thousand addresses are 201 entries, and none is forgotten', async () => {
    const all = strangers();
    for (let n = 0; n < 100_000; n++) all.count('token-shown', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    await all.close();
    expect(noted).toHaveLength(201);
    expect(noted.reduce((sum, { times = 0 }) => sum + times, 0)).toBe(100_000);
    expect(noted.at(-1)).toMatchObject({ address: 'others', times: 99_800 });
  });

  test('an address that tries many names has five of them told', async () => {
    const all = strangers();
    for (let n = 0; n < 1000; n++) all.count('sign-in', '10.0.0.1', `name-${n}`);
    await all.close();
    expect(noted).toEqual([
      {
        what: 'sign-in',
        status: 429,
        times: 1000,
        address: '10.0.0.1',
        asked: 'name-0 name-1 name-2 name-3 name-4',
      },
    ]);
  });

  test('nothing counted is nothing written', async () => {
    await strangers().close();
    expect(noted).toEqual([]);
  });
});
