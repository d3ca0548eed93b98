/** Bytes and shapes that no client of good will sends: each is refused with 4xx saying why, and never fails. */
import { configure, launch, requestOf } from './launch.ts';
import { CALLBACK, PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
let admin: string;
let ehr: string;
beforeAll(async () => {
  server = await startSmart({ REGISTRATION: 'open' });
  admin = await server.app.issueToken({ scope: 'consilium/admin', client: 'test', minutes: 5 });
  ehr = await server.app.issueToken({ scope: 'system/*.cruds', client: 'ehr', minutes: 5 });
});
afterAll(() => server.close());
let from = 0;
beforeEach(() => {
  from = server.log.length;
});
afterEach(() => {
  // What fails is told in the log.
  expect(server.log.slice(from).filter((line) => line.includes('"msg":"failed"'))).toEqual([]);
});

const CHALLENGE = 'code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256';
const REQUEST = `response_type=code&client_id=app&redirect_uri=${encodeURIComponent(CALLBACK)}&scope=openid&${CHALLENGE}`;
const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** What PostgreSQL cannot keep as text: U+0000. */
describe('U+0000', () => {
  test.each([
    ['state', `/authorize?${REQUEST}&state=%00`],
    ['login_hint', `/authorize?${REQUEST}&login_hint=a%00b`],
    ['client_id', `/authorize?${REQUEST.replace('=app', '=%00')}`],
    ['scope', `/authorize?${REQUEST.replace('=openid', '=openid%20%00')}`],
    ['launch', `/authorize?${REQUEST}&launch=%00`],
    ['to', '/sign-in?to=%00'],
    ['link', '/password?link=%00'],
    ['a name that is searched for', '/try?name=%00'],
    ['a path', '/%00'],
    ['path of whoami', '/whoami?path=%00'],
  ])('%s in a URL', async (_what, path) => {
    const { status } = await fetch(`${server.issuer}${path}`, { redirect: 'manual', headers: bearer(ehr) });
    expect([303, 302].includes(status) || status < 500).toBe(true);
    expect(status).toBeLessThan(500);
  });

  test.each<[string, string, Record<string, string>, Record<string, string>]>([
    ['username', 'sign-in', { username: 'a\0b', password: 'x' }, {}],
    ['password', 'sign-in', { username: 'doctor', password: '\0' }, {}],
    ['link', 'password', { link: '\0', password: PASSWORD, again: PASSWORD }, {}],
    ['client_id', 'token', { grant_type: 'authorization_code', code: 'x', client_id: '\0' }, {}],
    [
      'code',
      'token',
      { grant_type: 'authorization_code', code: '\0', redirect_uri: CALLBACK, client_id: 'app' },
      {},
    ],
    ['refresh_token', 'token', { grant_type: 'refresh_token', refresh_token: '\0' }, {}],
    [
      'state of a pushed request',
      'par',
      { ...Object.fromEntries(new URLSearchParams(REQUEST)), state: '\0' },
      {},
    ],
    [
      'state of a posted request',
      'authorize',
      { ...Object.fromEntries(new URLSearchParams(REQUEST)), state: '\0' },
      {},
    ],
    ['client of Basic', 'token', { grant_type: 'client_credentials' }, basic('\0:x')],
    ['client of Basic, escaped', 'token', { grant_type: 'client_credentials' }, basic('%00:x')],
    ['secret of Basic', 'token', { grant_type: 'client_credentials' }, basic('app:\0')],
    [
      'issuer of an assertion',
      'token',
      {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `${Buffer.from('{"alg":"ES384"}').toString('base64url')}.${Buffer.from('{"iss":"\\u0000","sub":"\\u0000"}').toString('base64url')}.AAAA`,
      },
      {},
    ],
    ['token', 'revoke', { token: '\0', client_id: 'app' }, {}],
  ])('%s in a form', async (_what, path, fields, headers) => {
    const answer = await fetch(`${server.issuer}/${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      redirect: 'manual',
      headers: { origin: server.url, ...headers },
    });
    expect(answer.status).toBeLessThan(500);
  });
});

describe('JSON', () => {
  test.each([
    ['U+0000 in a launch', 'launch', '{"patient":"ines","tenant":"\\u0000"}'],
    ['half of a surrogate pair in a launch', 'launch', '{"patient":"ines","intent":"\\ud800"}'],
    ['U+0000 deep in a launch', 'launch', '{"fhirContext":[{"identifier":{"value":"a\\u0000"}}]}'],
    ['U+0000 as a patient', 'launch', '{"patient":"\\u0000"}'],
    ['U+0000 as a client', 'launch', '{"client_id":"\\u0000"}'],
    [
      'half of a surrogate pair in keys',
      'register',
      '{"redirect_uris":["https://x.example.org/"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"RSA","kid":"\\ud800","n":"AQAB","e":"AQAB"}]}}',
    ],
    ['U+0000 in a name', 'register', '{"redirect_uris":["https://x.example.org/"],"client_name":"\\u0000"}'],
    ['U+0000 in a redirect URI', 'register', '{"redirect_uris":["https://x.example.org/\\u0000"]}'],
    ['U+0000 as a user', 'admin/users', '{"username":"a\\u0000b","fhirUser":"Patient/ines"}'],
    ['nothing', 'register', ''],
    ['a number', 'launch', '7'],
    ['depth', 'launch', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`],
  ])('%s is refused', async (_what, path, body) => {
    const token = path.startsWith('admin') ? admin : ehr;
    const answer = await fetch(`${server.issuer}/${path}`, { method: 'POST', body, headers: bearer(token) });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      error: expect.any(String),
      error_description: expect.any(String),
    });
  });

  test('of a glass that is broken, too', async () => {
    const { tokens } = await launch(server, { scope: 'openid fhirUser user/*.rs', user: 'stranger' });
    for (const body of [
      '{"patient":"\\u0000","reason":"a reason of many words"}',
      '{"patient":"ines","reason":"a reason of many\\u0000words"}',
    ]) {
      const answer = await fetch(`${server.issuer}/break-glass`, {
        method: 'POST',
        body,
        headers: bearer(tokens.access_token),
      });
      expect(answer.status).toBe(400);
    }
  });
});

test.each([
  'users/%E0/disable',
  'users/%00/disable',
  'clients/%00/rotate',
  'clients/%ff/enable',
  'users/__proto__/reset',
])('POST /auth/admin/%s is refused', async (path) => {
  const answer = await fetch(`${server.issuer}/admin/${path}`, { method: 'POST', headers: bearer(admin) });
  expect(answer.status).toBe(400);
});

test('what is larger than anything that is asked for is 413', async () => {
  const body = `x=${'y'.repeat(70_000)}`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: server.url };
  for (const path of ['token', 'sign-in', 'authorize', 'par', 'password'])
    expect((await fetch(`${server.issuer}/${path}`, { method: 'POST', body, headers })).status).toBe(413);
  for (const path of ['register', 'launch'])
    expect(
      (await fetch(`${server.issuer}/${path}`, { method: 'POST', body, headers: bearer(ehr) })).status,
    ).toBe(413);
});

test('a name with all signs that mean something is searched for as it is', async () => {
  const browser = server.browser();
  const { url } = await requestOf(server, await configure(server), { scope: 'launch/patient patient/*.rs' });
  const page = await browser.submit(await browser.open(url.href), '/login', {
    username: 'doctor',
    password: PASSWORD,
  });
  for (const name of [
    '%',
    '_',
    '\\',
    ',',
    '|',
    '$',
    "'",
    '"',
    '<script>',
    '\u0301',
    '\ud83d\ude00',
    'x'.repeat(2000),
    ':exact=1&_count=0',
  ]) {
    const { status } = await browser.open(`${new URL(page.url).pathname}?${new URLSearchParams({ name })}`);
    expect([name, status]).toEqual([name, 200]);
  }
});
