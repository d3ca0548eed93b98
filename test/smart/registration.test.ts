/** Dynamic registration by policy (RFC 7591; SMART App Launch 2.2, app-launch.html#register-app-with-ehr). */
import { generateKeyPairSync } from 'node:crypto';
import { launch } from './launch.ts';
import { CALLBACK, type SmartServer, startSmart } from './server.ts';

const METADATA = {
  client_name: 'New app',
  redirect_uris: [CALLBACK],
  token_endpoint_auth_method: 'none',
  scope: 'launch/patient patient/*.rs',
  software_id: 'left out',
};

function register(server: SmartServer, metadata: unknown, token?: string) {
  return fetch(`${server.issuer}/register`, {
    method: 'POST',
    body: JSON.stringify(metadata),
    headers: token ? { authorization: `Bearer ${token}` } : {},
  });
}

test('off: there is no such endpoint, and nothing says so', async () => {
  const server = await startSmart();
  expect((await register(server, METADATA)).status).toBe(404);
  await server.close();
});

describe('token', () => {
  let server: SmartServer;
  beforeAll(async () => {
    server = await startSmart({ REGISTRATION: 'token' });
  });
  afterAll(() => server.close());

  test('with an initial access token, once, also by eight at the same time', async () => {
    const smart = await (await fetch(`${server.fhir}/.well-known/smart-configuration`)).json();
    expect(smart).toMatchObject({ registration_endpoint: `${server.issuer}/register` });
    expect(JSON.stringify(await (await fetch(`${server.fhir}/metadata`)).json())).toContain(
      `{"url":"register","valueUri":"${server.issuer}/register"}`,
    );
    expect((await register(server, METADATA)).status).toBe(401);
    const token = await server.app.smart.invite();
    const answers = await Promise.all(Array.from({ length: 8 }, () => register(server, METADATA, token)));
    const made = answers.filter(({ status }) => status === 201);
    expect([made.length, answers.filter(({ status }) => status === 401).length]).toEqual([1, 7]);
    const told = (await made[0]?.json()) as Record<string, string>;
    expect(told).toMatchObject({ client_name: 'New app', client_id: expect.any(String) });
    expect(told).not.toHaveProperty('software_id');
    const { tokens } = await launch(server, { client: told.client_id, scope: METADATA.scope });
    expect(tokens.patient).toBe('ines');
  });

  test('an invitation lets in an app, and no service that nobody has looked at', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] };
    const metadata = {
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      scope: 'system/*.cruds',
      jwks,
    };
    const answer = await register(server, metadata, await server.app.smart.invite());
    const told = (await answer.json()) as Record<string, string>;
    expect([answer.status, told.consilium_status]).toEqual([201, expect.stringContaining('waits')]);
    expect((await server.app.smart.clients.find(told.client_id as string))?.disabled).toBeDefined();
  });

  test.each([
    ['no redirect URI', { ...METADATA, redirect_uris: [] }],
    ['a dangerous one', { ...METADATA, redirect_uris: ['javascript:alert(1)'] }],
    ['one that the phone calls', { ...METADATA, redirect_uris: ['tel:+15550100'] }],
    ['one of any app on the device (RFC 8252 7.1)', { ...METADATA, redirect_uris: ['heart://callback'] }],
    ['one that opens any app (Android)', { ...METADATA, redirect_uris: ['intent://x#Intent;end'] }],
    ['redirect URIs that are no list', { ...METADATA, redirect_uris: CALLBACK }],
    ['an unknown way to authenticate', { ...METADATA, token_endpoint_auth_method: 'tls_client_auth' }],
    ['scopes of backend services for an app', { ...METADATA, scope: 'system/*.rs' }],
    ['a backend service by a secret', { grant_types: ['client_credentials'], scope: 'system/*.rs' }],
    ['no object', []],
  ])('%s: invalid_client_metadata', async (_what, metadata) => {
    const answer = await register(server, metadata, await server.app.smart.invite());
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({ error: expect.stringMatching(/^invalid_(?:client_metadata|redirect_uri)$/) }),
    ]);
  });
});

test('open: no key set of a private network is asked for (SSRF), nor by anything but https', async () => {
  const server = await startSmart({ REGISTRATION: 'open', BASE_URL: 'https://fhir.example.org' });
  for (const uri of [
    'https://127.0.0.1/jwks',
    'https://169.254.169.254/',
    'http://keys.example.org/',
    'https://[::1]/',
  ]) {
    const metadata = { ...METADATA, token_endpoint_auth_method: 'private_key_jwt', jwks_uri: uri };
    const answer = await fetch(`${server.url}/auth/register`, {
      method: 'POST',
      body: JSON.stringify(metadata),
    });
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_client_metadata' }),
    ]);
  }
  await server.close();
});

test('open: twenty a day from one address, also at the same time', async () => {
  const server = await startSmart({ REGISTRATION: 'open' });
  const answers = await Promise.all(Array.from({ length: 24 }, () => register(server, METADATA)));
  const statuses = answers.map(({ status }) => status);
  expect([
    statuses.filter((one) => one === 201).length,
    statuses.filter((one) => one === 429).length,
  ]).toEqual([20, 4]);
  expect(Number(answers.find(({ status }) => status === 429)?.headers.get('retry-after'))).toBeGreaterThan(
    3000,
  );
  await server.close();
});

test('open: anybody, but each waits until it is enabled', async () => {
  const server = await startSmart({ REGISTRATION: 'open' });
  const answer = await register(server, { ...METADATA, token_endpoint_auth_method: 'client_secret_basic' });
  const { client_id: client, client_secret: secret } = (await answer.json()) as Record<string, string>;
  expect([answer.status, secret]).toEqual([201, expect.any(String)]);
  await expect(launch(server, { client, scope: METADATA.scope })).rejects.toThrow(/not sent back/);
  await server.app.smart.clients.enable(client as string);
  expect((await server.app.smart.clients.find(client as string))?.disabled).toBeUndefined();
  await server.close();
});
