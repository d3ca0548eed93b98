/** What somebody tries who means harm (RFC 9700; SMART App Launch 2.2, best-practices.html). */
import { createServer, request as httpRequest } from 'node:http';
import * as oidc from 'openid-client';
import { makeAdapters } from '../../src/smart/adapter.ts';
import { hashOf } from '../../src/smart/secrets.ts';
import { sweep } from '../../src/smart/sweep.ts';
import type { Browser, Shown } from './browser.ts';
import { configure, decide, launch, requestOf } from './launch.ts';
import { CALLBACK, PASSWORD, put, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart({ REGISTRATION: 'open' });
});
afterAll(() => server.close());

const SCOPE = 'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs';
const CHALLENGE = {
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
};

/** The query of a request that is in order but for what is given. */
const queryOf = (given: Record<string, string>): URLSearchParams =>
  new URLSearchParams({
    response_type: 'code',
    client_id: 'app',
    redirect_uri: CALLBACK,
    scope: SCOPE,
    state: 'abc',
    aud: server.fhir,
    ...CHALLENGE,
    ...given,
  });

const authorize = (given: Record<string, string>, browser = server.browser()): Promise<Shown> =>
  browser.open(`/auth/authorize?${queryOf(given)}`);

const bearer = (token: unknown) => ({ authorization: `Bearer ${token}` });

async function read(token: unknown, path: string): Promise<number> {
  return (await fetch(`${server.fhir}${path}`, { headers: bearer(token) })).status;
}

/** The page of consent of a launch, for the patient who was chosen. */
async function consentFor(browser: Browser, patient: string): Promise<Shown> {
  let page = await authorize({}, browser);
  if (page.text.includes('<h1>Sign in</h1>'))
    page = await browser.submit(page, '/login', { username: 'doctor', password: PASSWORD });
  return browser.submit(page, '/patient', { patient });
}

describe('where an app is called back (RFC 9700 2.1: compared exactly)', () => {
  beforeAll(() =>
    server.app.smart.clients.add({
      id: 'exact',
      type: 'public',
      redirectUris: ['https://app.example.org/cb?a=1'],
    }),
  );

  test.each([
    'https://app.example.org/cb',
    'https://app.example.org/cb?a=1&b=2',
    'https://app.example.org/cb?a=1#x',
    'https://app.example.org/cb/?a=1',
    'https://app.example.org/CB?a=1',
    'https://app.example.org/x/../cb?a=1',
    'https://app.example.org:443/cb?a=1',
    'https://app.example.org:8443/cb?a=1',
    'https://APP.example.org/cb?a=1',
    'https://app.example.org./cb?a=1',
    'https://evil.example.org/cb?a=1',
    'https://app.example.org.evil.example.org/cb?a=1',
    'https://app.example.org@evil.example.org/cb?a=1',
    'http://app.example.org/cb?a=1',
    'javascript:alert(1)',
    '//app.example.org/cb?a=1',
    '',
  ])('%s: a page, and no redirect', async (uri) => {
    const page = await authorize({ client_id: 'exact', redirect_uri: uri });
    expect([page.status, new URL(page.url).origin]).toEqual([400, server.url]);
    expect(page.text).not.toContain('name="password"');
  });

  test('twice in one request is refused', async () => {
    const page = await server
      .browser()
      .open(`/auth/authorize?${queryOf({})}&redirect_uri=https://evil.example.org/`);
    expect(page.status).toBe(400);
  });

  test('errors go nowhere else either: not to whom the request names', async () => {
    const page = await authorize({ redirect_uri: 'https://evil.example.org/', scope: 'nothing' });
    expect([page.status, new URL(page.url).origin]).toEqual([400, server.url]);
  });
});

test.each([
  '//evil.example.org',
  'https://evil.example.org',
  '/\\evil.example.org',
  'account/../../x',
  '%0d%0aX: y',
])('signing in leads to no page but ours: to=%s', async (to) => {
  const browser = server.browser();
  const page = await browser.open(`/auth/sign-in?to=${encodeURIComponent(to)}`);
  const shown = await browser.submit(page, '/sign-in\\?to=account', {
    username: 'doctor',
    password: PASSWORD,
  });
  expect(shown.url).toBe(`${server.issuer}/account`);
});

describe('what a request must not bring along', () => {
  let asked = 0;
  const listener = httpServer(() => asked++);
  afterAll(() => listener.close());

  test.each<[string, () => Record<string, string>]>([
    ['request (RFC 9101)', () => ({ request: 'eyJhbGciOiJub25lIn0.e30.' })],
    ['request_uri of somebody', () => ({ request_uri: `http://localhost:${listener.port()}/request` })],
    ['a response type with an id token', () => ({ response_type: 'code id_token', nonce: 'n' })],
    ['a response type with a token', () => ({ response_type: 'code token' })],
    ['no response type', () => ({ response_type: 'none' })],
    ['another resource (RFC 8707)', () => ({ resource: 'https://evil.example.org/fhir' })],
  ])('%s: no page to sign in, no code', async (_what, given) => {
    const page = await authorize(given());
    expect(page.text).not.toContain('name="password"');
    expect(new URL(page.url).searchParams.get('code')).toBeNull();
    expect(page.status === 0 || page.status === 400).toBe(true);
    expect(asked).toBe(0);
  });

  test('a wrong aud is refused also where the request is pushed (RFC 9126)', async () => {
    const config = await configure(server);
    const { url } = await requestOf(server, config, {
      scope: SCOPE,
      more: { aud: 'https://evil.example.org/fhir' },
    });
    await expect(oidc.buildAuthorizationUrlWithPAR(config, url.searchParams)).rejects.toMatchObject({
      error: 'invalid_request',
    });
  });

  test('a pushed request is good once', async () => {
    const config = await configure(server);
    const { url } = await requestOf(server, config, { scope: SCOPE });
    const pushed = await oidc.buildAuthorizationUrlWithPAR(config, url.searchParams);
    const browser = server.browser();
    await decide(browser, await browser.open(pushed.href), { scope: SCOPE });
    expect((await server.browser().open(pushed.href)).text).not.toContain('name="password"');
  });

  test('a request to another host by its target line changes nothing', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      httpRequest(
        {
          host: 'localhost',
          port: new URL(server.url).port,
          path: `http://evil.example.org/auth/authorize?${queryOf({})}`,
        },
        (response) => resolve(JSON.stringify([response.statusCode, response.headers])),
      )
        .on('error', reject)
        .end();
    });
    expect(answer).not.toContain('evil');
  });
});

/** Somebody else's server, which counts who asks. */
function httpServer(count: () => void) {
  const listening = createServer((_request, response) => {
    count();
    response.end();
  }).listen(0, '127.0.0.1');
  return {
    port: () => (listening.address() as { port: number }).port,
    close: () => listening.close(),
  };
}

describe('a page that is not the newest', () => {
  test('consent is for the patient whom its page shows: of two tabs, the older one is shown anew', async () => {
    const browser = server.browser();
    const ines = await consentFor(browser, 'ines');
    expect(ines.text).toContain('Ines Alba');
    // The same launch in another tab: back, and another patient.
    const path = new URL(ines.url).pathname;
    const picker = { ...ines, text: ines.text.replace('/consent"', '/patient"') };
    const juan = await browser.submit(picker, '/patient', { patient: 'juan' });
    expect([new URL(juan.url).pathname, juan.text]).toEqual([path, expect.stringContaining('Juan Brook')]);
    const again = await browser.submit(ines, '/consent', { decision: 'allow' });
    expect(again.url.startsWith(CALLBACK)).toBe(false);
    expect(again.text).toMatch(/role="alert".*Juan Brook/s);
    const back = await browser.submit(again, '/consent', { decision: 'allow' });
    expect(new URL(back.url).searchParams.get('code')).not.toBeNull();
  });

  test('nothing is allowed before who asks has signed in as the app wants it', async () => {
    const { browser } = await launch(server, { scope: SCOPE });
    const page = await authorize({ prompt: 'login' }, browser);
    const forged = { ...page, text: page.text.replace('/login"', '/consent"') };
    const { status, url } = await browser.submit(forged, '/consent', { decision: 'allow', patient: 'ines' });
    expect([status, url.startsWith(CALLBACK)]).toEqual([400, false]);
  });
});

test('consent says which scopes are for one patient, and which for all records that the person may open', async () => {
  const browser = server.browser();
  const scope = 'launch/patient patient/Observation.rs user/Condition.rs';
  const page = await browser.submit(await authorize({ scope }, browser), '/login', {
    username: 'doctor',
    password: PASSWORD,
  });
  const { text } = await browser.submit(page, '/patient', { patient: 'ines' });
  const [one = '', all = ''] = text.match(/<fieldset>.*?<\/fieldset>/gs) ?? [];
  expect(one).toMatch(/this record.*Measurements/s);
  expect(one).not.toContain('Problems');
  expect(all).toMatch(/all records that you may open.*Problems/s);
});

describe('sessions', () => {
  const SIGN_IN = { username: 'doctor', password: PASSWORD };

  test('fixation: who signs in gets a session of their own, at the account and in a launch', async () => {
    const browser = server.browser();
    const page = await authorize({}, browser);
    const before = browser.cookie('session');
    await browser.submit(page, '/login', SIGN_IN);
    const after = browser.cookie('session');
    expect(after).toEqual(expect.any(String));
    expect(after).not.toBe(before);
    await browser.submit(await browser.open('/auth/sign-in'), '/sign-in\\?to=account', SIGN_IN);
    expect(browser.cookie('session')).not.toBe(after);
  });

  test('a session ends twelve hours after its person has signed in, however it is used (NIST SP 800-63B-4 2.2.3)', async () => {
    const browser = server.browser();
    await consentFor(browser, 'ines');
    const { rows } = await server.app.pool.query({
      text: `update smart_artifact set payload = payload || jsonb_build_object('loginTs', (payload->>'loginTs')::bigint - 11 * 3600)
             where model = 'Session' and id = $1 returning uid`,
      values: [hashOf(browser.cookie('session') as string)],
    });
    await authorize({}, browser);
    const { rows: left } = await server.app.pool.query({
      text: `select extract(epoch from max(expires) - now())::int as seconds from smart_artifact
             where model = 'Session' and uid = $1 and consumed is null`,
      values: [rows[0].uid],
    });
    expect(left[0].seconds).toBeGreaterThan(3000);
    expect(left[0].seconds).toBeLessThanOrEqual(3600);
  });

  test('a cookie whose signature is not ours is none', async () => {
    const { browser } = await launch(server, { scope: SCOPE });
    const session = browser.cookie('session');
    const answer = await fetch(`${server.issuer}/account`, {
      headers: { cookie: `session=${session}; session.sig=${'A'.repeat(27)}` },
    });
    expect(await answer.text()).toContain('<h1>Sign in</h1>');
  });

  test('one that was ended stays so, also where a request of it was under way', async () => {
    const { browser } = await launch(server, { scope: SCOPE });
    const { pool } = server.app;
    const { accounts, clients } = server.app.smart;
    const secret = browser.cookie('session') as string;
    const { rows } = await pool.query({
      text: `select account, payload from smart_artifact where model = 'Session' and id = $1`,
      values: [hashOf(secret)],
    });
    const { account, payload } = rows[0];
    await accounts.endSession(account, hashOf(secret).toString('hex'));
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
    // as a request would that had read it before
    const adapter = makeAdapters({ pool, transacting: pool, clients, failed: () => {} })('Session');
    await adapter.upsert(secret, payload, 1000);
    expect(await adapter.find(secret)).toBeUndefined();
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
  });
});

describe('access that outlives its reason', () => {
  test('online_access ends with the session at the latest, however often it is refreshed', async () => {
    const scope = 'launch/patient online_access patient/Patient.rs';
    const { tokens, config } = await launch(server, { scope });
    const ends = async () =>
      (
        await server.app.pool.query(
          `select max((payload->>'exp')::bigint)::int as exp from smart_artifact where model = 'RefreshToken' and consumed is null`,
        )
      ).rows[0].exp;
    await server.app.pool.query(
      `update smart_artifact set payload = payload || '{"exp": ${Math.floor(Date.now() / 1000) + 60}}', expires = now() + interval '60 seconds'
       where model = 'RefreshToken'`,
    );
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    expect(next.refresh_token).toBeDefined();
    expect(await ends()).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) + 61);
  });

  test('170.315(g)(10): offline_access is good for three months or more, each time anew', async () => {
    const { tokens, config } = await launch(server, { scope: SCOPE });
    await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    const { rows } = await server.app.pool.query(
      `select max(expires) > now() + interval '93 days' as long from smart_artifact where model = 'RefreshToken'`,
    );
    expect(rows[0].long).toBe(true);
  });

  test('a link to choose a password: once one is used, all of that person are', async () => {
    const { accounts } = server.app.smart;
    const { id } = await accounts.add({ username: 'linked', name: 'L', fhirUser: 'Patient/juan' });
    const [one, two] = [await accounts.link(id, 1), await accounts.link(id, 1)];
    expect(await accounts.choose(one, 'entirely new words')).toBeUndefined();
    expect(await accounts.ofLink(two)).toBeUndefined();
    expect(await accounts.choose(two, 'other words of mine')).toMatch(/used already/);
  });
});

describe('what is granted is what opens', () => {
  const category = (code: string) => [
    { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code }] },
  ];

  test('consent that was narrowed by category opens that category alone', async () => {
    const observation = {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: 'Patient/ines' },
    };
    await put(server, { ...observation, id: 'lab', category: category('laboratory') } as never);
    await put(server, { ...observation, id: 'vital', category: category('vital-signs') } as never);
    const { tokens } = await launch(server, { scope: 'patient/Observation.rs', consent: { only: ['0.0'] } });
    expect([
      await read(tokens.access_token, '/Observation/lab'),
      await read(tokens.access_token, '/Observation/vital'),
    ]).toEqual([200, 404]);
    const found = await fetch(`${server.fhir}/Observation`, { headers: bearer(tokens.access_token) });
    const { entry } = (await found.json()) as { entry: { resource: { id: string } }[] };
    expect(entry.map(({ resource }) => resource.id)).toEqual(['lab']);
  });

  test('patient/ scopes without a patient open nothing, and none are given without', async () => {
    const { rows } = await server.app.pool.query(
      `select count(*)::int as n from token where scope like '%patient/%' and payload #> '{extra,patient}' is null`,
    );
    expect(rows[0].n).toBe(0);
    const { tokens } = await launch(server, { scope: 'patient/*.rs' });
    await server.app.pool.query(
      `update token set payload = payload #- '{extra,patient}' where expires > now()`,
    );
    await server.app.pool.query('update epoch set value = value + 1');
    expect(await read(tokens.access_token, '/Patient/ines')).not.toBe(200);
    expect(await read(tokens.access_token, '/Observation/lab')).not.toBe(200);
  });

  test('smart_openid_fhir_user_claim: the same token reads who has signed in', async () => {
    const { tokens } = await launch(server, {
      scope: 'launch/patient openid fhirUser patient/Patient.rs patient/Practitioner.rs',
    });
    const fhirUser = tokens.claims()?.fhirUser as string;
    expect(fhirUser).toBe(`${server.fhir}/Practitioner/ada`);
    const answer = await fetch(fhirUser, {
      headers: { ...bearer(tokens.access_token), origin: 'https://app.example.org' },
    });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
  });
});

describe('tokens are shown in the header alone (RFC 9700 4.3.2)', () => {
  test('in a URL or a form they are none', async () => {
    const { tokens } = await launch(server, { scope: SCOPE });
    const query = `?access_token=${tokens.access_token}`;
    for (const url of [`${server.fhir}/Patient/ines`, `${server.issuer}/userinfo`, `${server.issuer}/whoami`])
      expect((await fetch(url + query)).status).toBe(401);
    const form = await fetch(`${server.issuer}/userinfo`, {
      method: 'POST',
      body: new URLSearchParams(query),
    });
    expect(form.status).toBe(401);
  });

  test('no code, launch, token, secret, password or link is logged', async () => {
    const ehr = await server.app.issueToken({ scope: 'system/*.cruds', client: 'ehr', minutes: 5 });
    const opened = await fetch(`${server.issuer}/launch`, {
      method: 'POST',
      body: '{"patient":"ines"}',
      headers: bearer(ehr),
    });
    const { launch: value } = (await opened.json()) as { launch: string };
    const config = await configure(server);
    const { url, checks } = await requestOf(server, config, {
      scope: SCOPE.replace('launch/patient', 'launch'),
      more: { launch: value },
    });
    const browser = server.browser();
    const back = await decide(browser, await browser.open(url.href), { scope: SCOPE });
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), checks);
    const link = await server.app.smart.accounts.link(
      (await server.app.smart.accounts.named('doctor'))?.id as string,
      1,
    );
    await browser.open(`/auth/password?link=${link}`);
    await browser.open(`/auth/${tokens.access_token}`);
    const code = new URL(back.url).searchParams.get('code');
    const secrets = [
      code,
      value,
      link,
      PASSWORD,
      ehr,
      tokens.access_token,
      tokens.refresh_token,
      checks.pkceCodeVerifier,
      tokens.id_token,
      browser.cookie('session'),
    ];
    expect(server.log.length).toBeGreaterThan(20);
    for (const line of server.log) for (const secret of secrets) expect(line).not.toContain(secret);
  });
});

test.each([
  'authorize/',
  'Authorize',
  '%61uthorize',
  '/authorize',
  './/authorize',
  'TOKEN',
  'token/',
  'PAR',
  'par/',
  'Jwks',
])(
  'there is one way to an endpoint, so that what is done there is not gone around: /auth/%s is none',
  async (path) => {
    const ask = (method: 'GET' | 'POST') =>
      new Promise<number | undefined>((resolve, reject) => {
        // as it is: fetch would tidy it up
        const { port } = new URL(server.url);
        const more = method === 'GET' ? `?${queryOf({})}` : '';
        httpRequest({ host: 'localhost', port, method, path: `/auth/${path}${more}` }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
          .on('error', reject)
          .end();
      });
    expect([await ask('GET'), await ask('POST')]).toEqual([404, 404]);
  },
);

describe('what nobody has to sign in for', () => {
  const statuses = async (times: number, ask: () => Promise<number>) => {
    const all: number[] = [];
    for (let done = 0; done < times; done += 50)
      all.push(...(await Promise.all(Array.from({ length: Math.min(50, times - done) }, ask))));
    return all;
  };

  test.each<[string, (own: SmartServer) => Promise<Response>]>([
    ['requests', (own) => fetch(`${own.url}/auth/authorize?${queryOf({})}`, { redirect: 'manual' })],
    ['pushed requests', (own) => fetch(`${own.url}/auth/par`, { method: 'POST', body: queryOf({}) })],
  ])('%s of one address are bounded, so that nobody fills the disk', async (_what, ask) => {
    const own = await startSmart();
    const all = await statuses(500, async () => {
      const answer = await ask(own);
      await answer.arrayBuffer();
      return answer.status;
    });
    const refused = all.filter((status) => status === 429).length;
    expect(refused).toBeGreaterThan(0);
    expect(all.length - refused).toBeGreaterThanOrEqual(300);
    await own.close();
  });

  test('what has expired of them is swept at once', async () => {
    await authorize({});
    await fetch(`${server.url}/auth/par`, { method: 'POST', body: queryOf({}) });
    const count = async () =>
      (
        await server.app.pool.query(
          `select count(*)::int as n from smart_artifact where model in ('Interaction', 'PushedAuthorizationRequest')`,
        )
      ).rows[0].n;
    expect(await count()).toBeGreaterThan(1);
    await server.app.pool.query(
      `update smart_artifact set expires = now() - interval '1 second' where model in ('Interaction', 'PushedAuthorizationRequest')`,
    );
    await sweep(server.app.pool);
    expect(await count()).toBe(0);
  });
});
