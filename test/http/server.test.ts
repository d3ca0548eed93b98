import { Agent, get, type IncomingMessage } from 'node:http';
import request from 'supertest';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

describe('R4 http.html#capabilities', () => {
  test('metadata is open to anybody and says what is routed', async () => {
    const { body } = await request(app.url).get('/fhir/metadata').expect(200);
    expect(body).toMatchObject({
      resourceType: 'CapabilityStatement',
      status: 'active',
      kind: 'instance',
      fhirVersion: '4.0.1',
      format: ['application/fhir+json', 'json'],
      implementation: { url: app.base },
    });
    const [rest] = body.rest;
    expect(rest.interaction).toEqual([
      { code: 'transaction' },
      { code: 'batch' },
      { code: 'search-system' },
      { code: 'history-system' },
    ]);
    expect(rest.resource).toHaveLength(146);
    const patient = rest.resource.find(({ type }: { type: string }) => type === 'Patient');
    expect(patient.interaction.map(({ code }: { code: string }) => code)).toEqual([
      'read',
      'vread',
      'update',
      'patch',
      'delete',
      'history-instance',
      'history-type',
      'create',
      'search-type',
    ]);
    expect(patient.searchParam).toContainEqual(expect.objectContaining({ name: 'birthdate', type: 'date' }));
  });

  test('is itself what the standard allows', async () => {
    for (const mode of ['full', 'normative', 'terminology']) {
      const { text } = await request(app.url).get(`/fhir/metadata?mode=${mode}`).expect(200);
      const { resourceType } = JSON.parse(text);
      await app.send('post', `/${resourceType}`).type('application/fhir+json').send(text).expect(201);
    }
  });

  test('mode narrows it', async () => {
    const { body } = await request(app.url).get('/fhir/metadata?mode=normative').expect(200);
    const types = body.rest[0].resource.map(({ type }: { type: string }) => type);
    expect(types).toContain('Observation');
    expect(types).not.toContain('Media');
    await request(app.url).get('/fhir/metadata?mode=nonsense').expect(400);
    await request(app.url).get('/fhir/metadata?_format=xml').expect(406);
    await request(app.url).head('/fhir/metadata').expect(200);
  });
});

describe('outside of /fhir', () => {
  test('health', async () => {
    await request(app.url).get('/healthz').expect(200, { status: 'ok' });
    await request(app.url).get('/readyz').expect(200, { status: 'ready' });
  });

  test('metrics count by route, and are not told through a proxy', async () => {
    await app.send('get', '/Patient/nobody').expect(404);
    const { text } = await request(app.url).get('/metrics').expect(200);
    expect(text).toMatch(
      /consilium_http_requests_total\{method="GET",route="\/fhir\/:type\/:id",status="404"\} 1/,
    );
    await request(app.url).get('/metrics').set('X-Forwarded-For', '192.0.2.1').expect(403);
  });

  test('documentation', async () => {
    const page = await request(app.url).get('/docs').expect(200).expect('Content-Type', /html/);
    for (const [, link] of page.text.matchAll(/(?:src|href)="([^"]+)"/g))
      await request(app.url).get(`/${link}`).expect(200);
    await request(app.url).get('/docs/').expect(301);
    await request(app.url).get('/docs/package.json').expect(404);
  });

  test('RFC 9457: what is not there is a problem', async () => {
    const answer = await request(app.url).get('/nonsense').expect(404);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.text)).toMatchObject({ status: 404, title: 'Not Found' });
    expect(answer.headers['x-powered-by']).toBeUndefined();
    await request(app.url)
      .get('/docs/%zz')
      .expect(400)
      .expect('Content-Type', /problem/);
    await request(app.url)
      .get('/fhirs')
      .expect(404)
      .expect('Content-Type', /problem/);
  });
});

describe('the end', () => {
  test('answers what is under way, and does not wait for idle connections', async () => {
    const own = await startApp();
    const agent = new Agent({ keepAlive: true });
    const call = (path: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { authorization: `Bearer ${own.token}` };
        get(`${own.url}/fhir${path}`, { agent, headers }, (response) => resolve(response.resume())).on(
          'error',
          reject,
        );
      });
    expect((await call('/Patient')).statusCode).toBe(200);
    const underWay = Promise.all([call('/Patient'), call('/_history')]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const started = Date.now();
    const closed = own.close();
    expect((await underWay).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    await closed;
    expect(Date.now() - started).toBeLessThan(3000);
    agent.destroy();
  });

  test('a database that is gone is 503 with Retry-After', async () => {
    const own = await startApp();
    await own.send('get', '/Patient/1').expect(404);
    await own.drop();
    for (const path of ['/Patient/1', '/Patient', '/_history']) {
      const answer = await own.send('get', path).expect(503);
      expect(answer.body).toMatchObject({ resourceType: 'OperationOutcome', issue: [{ code: 'transient' }] });
      expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    }
    await request(own.url).get('/readyz').expect(503);
    await request(own.url).get('/healthz').expect(200);
    await own.app.close();
  });
});
