/** People and apps over HTTP. */
import { type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
let admin: string;
beforeAll(async () => {
  server = await startSmart();
  admin = await server.app.issueToken({ scope: 'consilium/admin', client: 'test', minutes: 5 });
});
afterAll(() => server.close());

async function call(method: 'GET' | 'POST', path: string, body?: unknown, token = admin) {
  const answer = await fetch(`${server.issuer}/admin/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

test('clients: add, list, rotate, disable, enable', async () => {
  const added = await call('POST', 'clients', {
    type: 'confidential',
    id: 'web',
    redirectUris: ['https://x.example.org/'],
  });
  expect(added).toMatchObject({ status: 201, body: { client_id: 'web', client_secret: expect.any(String) } });
  expect(JSON.stringify((await call('GET', 'clients')).body)).toContain('"web"');
  expect((await call('POST', 'clients/web/rotate', {})).body.client_secret).not.toBe(
    added.body.client_secret,
  );
  expect((await call('POST', 'clients/web/disable')).status).toBe(200);
  expect((await server.app.smart.clients.find('web'))?.disabled).toBeDefined();
  expect((await call('POST', 'clients/web/enable')).status).toBe(200);
});

test('users: add with a link, reset, disable, enable', async () => {
  const added = await call('POST', 'users', { username: 'juan', fhirUser: 'Patient/juan' });
  expect(added).toMatchObject({
    status: 201,
    body: { name: 'Juan Brook', link: expect.stringContaining('/auth/password?link=') },
  });
  expect((await call('POST', 'users/juan/reset')).body.link).not.toBe(added.body.link);
  expect((await call('POST', 'users/juan/disable')).status).toBe(200);
  expect((await server.app.smart.accounts.named('juan'))?.disabled).toBeDefined();
});

test.each([
  ['what is not known', 'POST', 'clients', { type: 'public', colour: 'red' }, 400],
  ['what is missing', 'POST', 'users', { username: 'x1' }, 400],
  ['nobody', 'POST', 'users/nobody/disable', {}, 400],
  ['what cannot be done', 'POST', 'users/doctor/promote', {}, 404],
] as const)('%s is refused', async (_what, method, path, body, status) => {
  expect((await call(method, path, body)).status).toBe(status);
});

test('nobody else may: not with all records, not an app that asks for it', async () => {
  const all = await server.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
  expect((await call('GET', 'users', undefined, all)).status).toBe(403);
  expect((await call('GET', 'users', undefined, 'nonsense')).status).toBe(401);
  const client = { type: 'public', redirectUris: ['https://x.example.org/'], scope: 'consilium/admin' };
  expect((await call('POST', 'clients', client)).status).toBe(400);
  const door = await fetch(`${server.fhir}/Patient`, { headers: { authorization: `Bearer ${admin}` } });
  expect(door.status).toBe(403);
});
