/** Backend services (SMART App Launch 2.2, backend-services.html; rows E of the test kits, and what they leave out). */
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { type SmartServer, startSmart } from './server.ts';

interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

let server: SmartServer;
let keys: Server;
/** what the key set at the URL holds, and how it is sent */
let published: unknown = { keys: [] };
let cacheControl: string | undefined;
let asked = 0;
let keysUrl: string;
const ec: Pair = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other: Pair = generateKeyPairSync('ec', { namedCurve: 'P-384' });

const jwk = ({ publicKey }: Pair, kid: string, alg: string) => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
  alg,
  use: 'sig',
});

beforeAll(async () => {
  server = await startSmart();
  keys = createServer((_request, response) => {
    asked++;
    if (cacheControl) response.setHeader('Cache-Control', cacheControl);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(published));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => keys.once('listening', resolve));
  keysUrl = `http://127.0.0.1:${(keys.address() as { port: number }).port}/jwks`;
  const { clients } = server.app.smart;
  const jwks = JSON.stringify({ keys: [jwk(ec, 'ec', 'ES384'), jwk(rsa, 'rsa', 'RS384')] });
  await clients.add({ id: 'lab', type: 'backend', scope: 'system/*.rs system/Observation.cruds', jwks });
  await clients.add({ id: 'remote', type: 'backend', scope: 'system/*.rs', jwksUri: keysUrl });
});
afterAll(async () => {
  keys.close();
  await server.close();
});

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

interface Made {
  readonly pair?: Pair;
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  /** instead of the signature that the header calls for */
  readonly signature?: (text: string) => string;
}

/** An assertion as Inferno makes it: no iat, five minutes. */
function assertion({ pair = ec, header = {}, claims = {}, signature }: Made = {}): string {
  const alg = pair.privateKey.asymmetricKeyType === 'rsa' ? 'RS384' : 'ES384';
  const head = base64({ alg, kid: alg === 'RS384' ? 'rsa' : 'ec', typ: 'JWT', ...header });
  const body = base64({
    iss: 'lab',
    sub: 'lab',
    aud: `${server.issuer}/token`,
    exp: Math.floor(Date.now() / 1000) + 300,
    jti: randomUUID(),
    ...claims,
  });
  const text = `${head}.${body}`;
  const signed =
    signature?.(text) ??
    sign('sha384', Buffer.from(text), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }).toString(
      'base64url',
    );
  return `${text}.${signed}`;
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

async function ask(fields: Record<string, string> = {}) {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    scope: 'system/*.rs',
    client_assertion_type: JWT_BEARER,
    client_assertion: fields.client_assertion ?? assertion(),
    ...fields,
  });
  const answer = await fetch(`${server.issuer}/token`, { method: 'POST', body });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const read = (token: unknown, path: string) =>
  fetch(`${server.fhir}${path}`, { headers: { authorization: `Bearer ${token}` } });

test.each([
  ['ES384', ec],
  ['RS384', rsa],
])(
  'smart_backend_services_auth_request_success by %s, and the token opens the FHIR door',
  async (_alg, pair) => {
    const { status, body } = await ask({ client_assertion: assertion({ pair }) });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'system/*.rs',
    });
    expect(body.refresh_token).toBeUndefined();
    expect((await read(body.access_token, '/Patient/ines')).status).toBe(200);
    expect((await read(body.access_token, '/Patient?name=alba')).status).toBe(200);
    const write = await fetch(`${server.fhir}/Patient`, {
      method: 'POST',
      body: '{"resourceType":"Patient"}',
      headers: { authorization: `Bearer ${body.access_token}`, 'content-type': 'application/fhir+json' },
    });
    expect(write.status).toBe(403);
  },
);

test.each([
  ['v1', 'system/Patient.read', 'system/Patient.read'],
  [
    'part of what was registered',
    'system/Patient.r system/Observation.cu',
    'system/Patient.r system/Observation.cu',
  ],
  ['more than was registered', 'system/Patient.rs system/Patient.cruds system/*.cruds', 'system/Patient.rs'],
  [
    'of people',
    'system/Patient.rs patient/Patient.rs user/*.rs launch openid offline_access',
    'system/Patient.rs',
  ],
  ['that are not named: all that was registered (RFC 6749 3.3)', '', 'system/*.rs system/Observation.cruds'],
])('scopes %s', async (_what, scope, granted) => {
  expect((await ask({ scope })).body.scope).toBe(granted);
});

test('a token of v1 scopes reads and searches, and does not write', async () => {
  const { body } = await ask({ scope: 'system/Patient.read' });
  expect((await read(body.access_token, '/Patient/ines')).status).toBe(200);
  expect((await read(body.access_token, '/Patient')).status).toBe(200);
  expect((await read(body.access_token, '/Observation')).status).toBe(403);
});

test('a granular scope opens what its query finds', async () => {
  const { body } = await ask({ scope: 'system/Observation.rs?code=x' });
  expect(body.scope).toBe('system/Observation.rs?code=x');
  const found = await read(body.access_token, '/Observation');
  expect(found.status).toBe(200);
  expect(await found.json()).not.toHaveProperty('entry');
  expect((await read(body.access_token, '/Patient')).status).toBe(403);
});

test.each([
  ['user/ and patient/ scopes alone', { scope: 'patient/*.rs user/*.rs' }, 400],
  ['smart_backend_services_invalid_grant_type', { grant_type: 'not_a_grant_type' }, 400],
  [
    'smart_backend_services_invalid_client_assertion',
    { client_assertion_type: 'not_an_assertion_type' },
    400,
  ],
  [
    'another grant',
    { grant_type: 'authorization_code', code: 'x', redirect_uri: 'https://x.example.org' },
    400,
  ],
])('%s: refused', async (_what, fields, status) => {
  const answer = await ask(fields);
  expect([answer.status, answer.body.access_token]).toEqual([status, undefined]);
});

const now = () => Math.floor(Date.now() / 1000);

test.each<[string, () => Made]>([
  ['a signature of another key', () => ({ pair: other })],
  ['a signature that was changed', () => ({ signature: () => 'AAAA'.repeat(32) })],
  ['no signature (alg none)', () => ({ header: { alg: 'none' }, signature: () => '' })],
  [
    'an HMAC with the public key (algorithm confusion)',
    () => ({
      header: { alg: 'HS384' },
      signature: (text) =>
        createHmac('sha384', JSON.stringify(jwk(ec, 'ec', 'ES384')))
          .update(text)
          .digest('base64url'),
    }),
  ],
  ['an algorithm that is not offered', () => ({ header: { alg: 'RS256', kid: 'rsa' }, pair: rsa })],
  ['another audience', () => ({ claims: { aud: 'https://evil.example.org/token' } })],
  ['no audience', () => ({ claims: { aud: undefined } })],
  ['an end that has passed', () => ({ claims: { exp: now() - 60 } })],
  ['an end more than five minutes away', () => ({ claims: { exp: now() + 900 } })],
  ['no end', () => ({ claims: { exp: undefined } })],
  ['no jti', () => ({ claims: { jti: undefined } })],
  ['an unknown kid', () => ({ header: { kid: 'nobody' } })],
  ['no kid', () => ({ header: { kid: undefined } })],
  ['sub that is not iss', () => ({ claims: { sub: 'remote' } })],
  ['iss of another client', () => ({ claims: { iss: 'remote' } })],
  ['a key of its own (jwk)', () => ({ pair: other, header: { jwk: jwk(other, 'ec', 'ES384') } })],
  ['a place of its own for keys (jku)', () => ({ header: { jku: keysUrl } })],
])('%s: 401', async (_what, made) => {
  const { status, body } = await ask({ client_assertion: assertion(made()) });
  expect([status, body.error, body.access_token]).toEqual([401, 'invalid_client', undefined]);
});

test('the audience may be the issuer, or in a list', async () => {
  for (const aud of [server.issuer, [`${server.issuer}/token`]])
    expect((await ask({ client_assertion: assertion({ claims: { aud } }) })).status).toBe(200);
});

test('an audience on another host is not ours, whatever the Host header says', async () => {
  const answer = await fetch(`${server.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'system/*.rs',
      client_assertion_type: JWT_BEARER,
      client_assertion: assertion({ claims: { aud: 'https://evil.example.org/auth/token' } }),
    }),
    headers: { 'x-forwarded-host': 'evil.example.org', 'x-forwarded-proto': 'https' },
  });
  expect(answer.status).toBe(401);
});

test('RFC 7523 3: an assertion is good once, also by eight at the same time', async () => {
  const once = assertion();
  expect((await ask({ client_assertion: once })).status).toBe(200);
  expect((await ask({ client_assertion: once })).status).toBe(401);
  for (let round = 0; round < 4; round++) {
    const shared = assertion();
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask({ client_assertion: shared })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.every(({ status }) => status === 200 || status === 401)).toBe(true);
  }
});

test('a disabled client gets no token, and what it has is ended', async () => {
  const { clients } = server.app.smart;
  const { body } = await ask();
  expect((await read(body.access_token, '/Patient/ines')).status).toBe(200);
  await clients.disable('lab');
  expect((await read(body.access_token, '/Patient/ines')).status).toBe(401);
  expect((await ask()).status).toBe(401);
  await clients.enable('lab');
  expect((await ask()).status).toBe(200);
});

test('another process on the same database knows the token, and its end, at once', async () => {
  const env = {
    DATABASE_URL: server.database.url,
    BASE_URL: server.url,
    PORT: '0',
    DATA_DIR: await mkdtemp(join(tmpdir(), 'smart-')),
  };
  const second = await openApp(readConfig(env), pino({ level: 'silent' }));
  const { port } = await second.listen();
  const there = async (token: unknown) =>
    (
      await fetch(`http://127.0.0.1:${port}/fhir/Patient/ines`, {
        headers: { authorization: `Bearer ${token}` },
      })
    ).status;
  const { body } = await ask();
  expect(await there(body.access_token)).toBe(200);
  await server.app.smart.clients.disable('lab');
  expect(await there(body.access_token)).toBe(401);
  await second.smart.clients.enable('lab');
  expect((await ask()).status).toBe(200);
  await second.close();
});

describe('keys by URL', () => {
  const by = (pair: Pair, kid: string) =>
    ask({ client_assertion: assertion({ pair, header: { kid }, claims: { iss: 'remote', sub: 'remote' } }) });

  test('a rotated key is taken at once, a removed one is none at once', async () => {
    published = { keys: [jwk(ec, 'one', 'ES384')] };
    expect((await by(ec, 'one')).status).toBe(200);
    published = { keys: [jwk(ec, 'one', 'ES384'), jwk(other, 'two', 'ES384')] };
    expect((await by(other, 'two')).status).toBe(200);
    published = { keys: [jwk(other, 'two', 'ES384')] };
    expect((await by(ec, 'one')).status).toBe(401);
    expect((await by(other, 'two')).status).toBe(200);
  });

  test('they are kept as long as Cache-Control says', async () => {
    cacheControl = 'max-age=60';
    published = { keys: [jwk(ec, 'three', 'ES384')] };
    await by(ec, 'three');
    const before = asked;
    expect((await by(ec, 'three')).status).toBe(200);
    expect(asked).toBe(before);
    cacheControl = undefined;
  });

  test.each([
    ['no keys', { nothing: true }],
    ['private keys', { keys: [{ ...ec.privateKey.export({ format: 'jwk' }), kid: 'bad' }] }],
    ['too much', { keys: [{ ...jwk(ec, 'bad', 'ES384'), x: 'x'.repeat(100_000) }] }],
    ['nonsense', 'hello'],
  ])('a key set with %s is none: 401', async (_what, held) => {
    published = held;
    await server.app.smart.clients.rotate('remote', { jwksUri: `${keysUrl}?${randomUUID()}` });
    expect((await by(ec, 'bad')).status).toBe(401);
  });
});

describe('POST /auth/launch: an EHR opens an app', () => {
  const launch = (token: unknown, body: unknown) =>
    fetch(`${server.issuer}/launch`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });

  test('answers with a value of five minutes', async () => {
    const { body } = await ask();
    const answer = await launch(body.access_token, { patient: 'ines', encounter: 'visit', intent: 'order' });
    expect([answer.status, await answer.json()]).toEqual([
      201,
      { launch: expect.stringMatching(/^[\w-]{43}$/), expires_in: 300 },
    ]);
  });

  test.each([
    ['what is not understood', { patiente: 'ines' }, 400],
    ['a patient that is no text', { patient: 7 }, 400],
    ['fhirContext that names nothing', { fhirContext: [{}] }, 400],
    ['an unknown app', { client_id: 'nobody' }, 400],
    ['no object', [], 400],
  ])('%s is refused', async (_what, about, status) => {
    const { body } = await ask();
    expect((await launch(body.access_token, about)).status).toBe(status);
  });

  test('limited to an organization, it opens no app for a patient of another', async () => {
    const jwks = JSON.stringify({ keys: [jwk(ec, 'ec', 'ES384')] });
    const { clients } = server.app.smart;
    const organizations = ['Organization/clinic'];
    await clients.add({ id: 'clinic', type: 'backend', scope: 'system/*.rs', jwks, organizations });
    const of = { iss: 'clinic', sub: 'clinic' };
    const { body } = await ask({ client_assertion: assertion({ claims: of }) });
    expect((await read(body.access_token, '/Patient/ines')).status).toBe(200);
    expect((await read(body.access_token, '/Patient/away')).status).toBe(404);
    expect((await launch(body.access_token, { patient: 'ines' })).status).toBe(201);
    expect((await launch(body.access_token, { patient: 'away' })).status).toBe(403);
    expect((await launch(body.access_token, { patient: 'nobody' })).status).toBe(403);
  });

  test.each([
    ['an app', { type: 'public', scope: '', redirectUris: ['https://x.example.org/'] }],
    ['what is no organization', { organizations: ['Patient/ines'] }],
  ] as const)('%s cannot be limited to it', async (_what, more) => {
    const jwks = JSON.stringify({ keys: [jwk(ec, 'ec', 'ES384')] });
    const client = {
      type: 'backend',
      scope: 'system/*.rs',
      organizations: ['Organization/clinic'],
      jwks,
    } as const;
    await expect(server.app.smart.clients.add({ ...client, ...more })).rejects.toThrow(/organization/);
  });

  test('a token that may not read the patient makes none', async () => {
    const { body } = await ask({ scope: 'system/Observation.rs' });
    expect((await launch(body.access_token, { patient: 'ines' })).status).toBe(403);
    expect((await launch('nonsense', { patient: 'ines' })).status).toBe(401);
  });
});
