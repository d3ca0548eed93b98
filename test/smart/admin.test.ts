/** People and apps over HTTP. */
import { hashOf } from '../../src/smart/secrets.ts';
import { startApp } from '../http/app.ts';
import { launch } from './launch.ts';
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
  expect((await call('POST', 'users/juan/enable')).status).toBe(200);
  expect((await server.app.smart.accounts.named('juan'))?.disabled).toBeUndefined();
});

test('users: address of mail, clearance', async () => {
  const email = 'ada@clinic.example';
  expect((await call('POST', 'users/doctor/email', { email })).status).toBe(200);
  expect((await server.app.smart.accounts.named('doctor'))?.email).toBe(email);
  expect(JSON.stringify((await call('GET', 'users')).body)).toContain(email);
  expect((await call('POST', 'users/doctor/email', {})).status).toBe(200);
  expect((await server.app.smart.accounts.named('doctor'))?.email).toBeUndefined();

  const clearance = async () =>
    (await server.app.pool.query(`select clearance from account where username = 'doctor'`)).rows[0]
      .clearance;
  expect((await call('POST', 'users/doctor/clear', { label: 'R' })).status).toBe(200);
  expect(await clearance()).toBe('R');
  expect((await call('POST', 'users/doctor/clear', { label: 'X' })).status).toBe(400);
  expect((await call('POST', 'users/doctor/clear', {})).status).toBe(400);
  expect(await clearance()).toBe('R');
  await call('POST', 'users/doctor/clear', { label: 'N' });
});

test('an invitation, with which one app registers itself (RFC 7591 3: initial access token)', async () => {
  const { status, body } = await call('POST', 'invitations');
  expect([status, body]).toEqual([201, { initial_access_token: expect.stringMatching(/^[\w-]{43}$/) }]);
  const open = await startApp({ BASE_URL: server.url, REGISTRATION: 'token' }, server.database);
  const register = (token: unknown) =>
    fetch(`${open.url}/auth/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'Invited',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['https://invited.example.org/'],
      }),
    });
  expect((await register(body.initial_access_token)).status).toBe(201);
  expect((await register(body.initial_access_token)).status).toBe(401);
  expect((await register(admin)).status).toBe(401);
  await open.app.close();
});

test.each([
  ['what is not known', 'POST', 'clients', { type: 'public', colour: 'red' }, 400],
  ['what is missing', 'POST', 'users', { username: 'x1' }, 400],
  ['nobody', 'POST', 'users/nobody/disable', {}, 400],
  [
    'somebody who is not in the records',
    'POST',
    'users',
    { username: 'x1', fhirUser: 'Patient/nobody' },
    400,
  ],
  ['what nobody can be', 'POST', 'users', { username: 'x1', fhirUser: 'Organization/clinic' }, 400],
  ['two addresses in one', 'POST', 'users/doctor/email', { email: 'a@b.example,c@d.example' }, 400],
  ['an address with a header in it', 'POST', 'users/doctor/email', { email: 'a@b.example\r\nBcc:c' }, 400],
  ['an invitation for whatever', 'POST', 'invitations', { scope: 'system/*.cruds' }, 400],
  ['what cannot be done', 'POST', 'users/doctor/promote', {}, 404],
  ['what every object has', 'POST', 'users/doctor/constructor', {}, 404],
] as const)('%s is refused', async (_what, method, path, body, status) => {
  expect((await call(method, path, body)).status).toBe(status);
});

/** All that can be done, with what would do it. */
const DOINGS: readonly { method: 'GET' | 'POST'; path: string; body?: object }[] = [
  { method: 'GET', path: 'users' },
  { method: 'GET', path: 'clients' },
  { method: 'POST', path: 'users', body: { username: 'mallory', fhirUser: 'Practitioner/ada' } },
  { method: 'POST', path: 'users/doctor/reset' },
  { method: 'POST', path: 'users/doctor/email', body: { email: 'mallory@evil.example' } },
  { method: 'POST', path: 'users/doctor/clear', body: { label: 'V' } },
  { method: 'POST', path: 'users/doctor/disable' },
  { method: 'POST', path: 'users/doctor/enable' },
  {
    method: 'POST',
    path: 'clients',
    body: { type: 'public', id: 'mallory', redirectUris: ['https://evil.example/'] },
  },
  { method: 'POST', path: 'clients/app/rotate' },
  { method: 'POST', path: 'clients/app/disable' },
  { method: 'POST', path: 'clients/app/enable' },
  { method: 'POST', path: 'invitations' },
];

test.each(DOINGS)(
  'nobody else may $method $path: not with all records, nor a person, nor a service',
  async ({ method, path, body }) => {
    const all = await server.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
    const { tokens } = await launch(server, { scope: 'openid fhirUser user/*.cruds' });
    // as if one of the authorization server's had got hold of it
    const granted = await server.app.issueToken({ scope: 'consilium/admin', client: 'app', minutes: 5 });
    await server.app.pool.query({
      text: `update token set payload = '{}' where hash = $1`,
      values: [hashOf(granted)],
    });
    const before = await state();
    for (const token of [all, tokens.access_token, granted])
      expect((await call(method, path, body, token)).status).toBe(403);
    expect((await call(method, path, body, 'nonsense')).status).toBe(401);
    expect(await state()).toEqual(before);
  },
);

async function state() {
  const { rows } = await server.app.pool.query(
    `select (select json_agg(a order by id) from account a) as people, (select json_agg(c order by id) from client c) as apps,
       (select count(*) from account_link) as links, (select count(*) from client_invitation) as invitations`,
  );
  return rows[0];
}

test('no app can ask for it, and it opens no records', async () => {
  const client = { type: 'public', redirectUris: ['https://x.example.org/'], scope: 'consilium/admin' };
  expect((await call('POST', 'clients', client)).status).toBe(400);
  const door = await fetch(`${server.fhir}/Patient`, { headers: { authorization: `Bearer ${admin}` } });
  expect(door.status).toBe(403);
});
