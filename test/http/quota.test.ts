import request from 'supertest';
import { makeQuota } from '../../src/http/quota.ts';
import { startApp, type TestApp } from './app.ts';

describe('RFC 6585 §4: QUOTA, over HTTP', () => {
  let app: TestApp;
  const as = (token: string, path = '/Patient?_count=1') =>
    request(app.url).get(`/fhir${path}`).set('Authorization', `Bearer ${token}`);

  beforeAll(async () => {
    app = await startApp({ QUOTA: '6' });
  });
  afterAll(() => app.close());

  test('beyond it a client is answered 429 with Retry-After, before its body is read; others are not', async () => {
    for (let n = 0; n < 6; n++) await as(app.token).expect(200);
    const refused = await as(app.token).expect(429);
    expect(refused.body.issue).toMatchObject([{ severity: 'error', code: 'throttled' }]);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(5);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(10);
    await app.send('post', '/Patient').type('application/fhir+json').send('{"resourceType":').expect(429);
    const other = await app.app.issueToken({ scope: 'system/*.cruds', client: 'other', minutes: 5 });
    await as(other).expect(200);
    await request(app.url).get('/fhir/metadata').expect(200);
    const elsewhere = ['/uploads/1', '/dicomweb/studies'];
    for (const path of elsewhere)
      await request(app.url).get(path).set('Authorization', `Bearer ${app.token}`).expect(429);
  });

  test('who shows false tokens is refused by address, and clients of that address are not', async () => {
    const client = await app.app.issueToken({ scope: 'system/*.cruds', client: 'beside', minutes: 5 });
    await as(client).expect(200);
    for (let n = 0; n < 6; n++) await as(`false-${n}`).expect(401);
    await as('false-again').expect(429);
    await as(client).expect(200);
  });
});

test('behind a proxy of ours an address is the client’s, not the proxy’s (TRUST_PROXY)', async () => {
  const app = await startApp({ QUOTA: '6', TRUST_PROXY: '1' });
  const from = (address: string, token: string) =>
    request(app.url)
      .get('/fhir/Patient?_count=1')
      .set({ Authorization: `Bearer ${token}`, 'X-Forwarded-For': address });
  for (let n = 0; n < 6; n++) await from('203.0.113.66', `false-${n}`).expect(401);
  await from('203.0.113.66', 'false-again').expect(429);
  await from('198.51.100.7', app.token).expect(200);
  // what a client writes itself is not its address
  await from('198.51.100.8, 203.0.113.66', 'false-again').expect(429);
  await app.close();
});

describe('buckets', () => {
  let time = 0;
  const refusedFor = (work: () => void): number | undefined => {
    try {
      work();
      return undefined;
    } catch (fault) {
      return Number((fault as { headers: Record<string, string> }).headers['Retry-After']);
    }
  };
  beforeEach(() => {
    time = 1000;
  });

  test('a bucket fills again over a minute, and not beyond', () => {
    const quota = makeQuota(60, () => time);
    const admit = () => refusedFor(() => quota.admit('token', 'address'));
    quota.know('token');
    for (let n = 1; n < 60; n++) expect(admit()).toBeUndefined();
    expect(admit()).toBe(1);
    time += 1000;
    expect(admit()).toBeUndefined();
    expect(admit()).toBe(1);
    time += 3_600_000;
    for (let n = 0; n < 60; n++) expect(admit()).toBeUndefined();
    expect(admit()).toBe(1);
  });

  test('Retry-After is when there is something again', () => {
    const quota = makeQuota(2, () => time);
    quota.know('token');
    quota.admit('token', '');
    expect(refusedFor(() => quota.admit('token', ''))).toBe(30);
    time += 29_000;
    expect(refusedFor(() => quota.admit('token', ''))).toBe(1);
    time += 1000;
    expect(refusedFor(() => quota.admit('token', ''))).toBeUndefined();
  });

  test.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::1', true],
    ['2001:db8::1', '2001:db8:0:0:9::', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
  ])('RFC 6177: %s and %s are of one network: %s', (one, other, same) => {
    const quota = makeQuota(1, () => time);
    quota.blame(one);
    expect(refusedFor(() => quota.admit('false', other)) !== undefined).toBe(same);
  });
});
