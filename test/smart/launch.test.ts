/** SMART App Launch 2.2: people let apps in (rows B and C of the test kits). */

import { generateKeyPairSync } from 'node:crypto';
import * as oidc from 'openid-client';
import { configure, decide, launch, requestOf } from './launch.ts';
import { CALLBACK, PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());

const SCOPE = 'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs';
const CATEGORY = 'http://terminology.hl7.org/CodeSystem/observation-category';

/** The answer of the token endpoint as it is, headers and all. */
async function exchange(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(`${server.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  });
  return { answer, body: (await answer.json()) as Record<string, unknown> };
}

/** A code that a person has let an app have, with what has to be shown for it. */
async function codeFor(scope = SCOPE, more: Record<string, string> = {}, client = 'app') {
  const config = await configure(server, client);
  const { url, checks } = await requestOf(server, config, { scope, more });
  const browser = server.browser();
  const back = await decide(browser, await browser.open(url.href), { scope });
  const code = new URL(back.url).searchParams.get('code') as string;
  expect(code).toEqual(expect.any(String));
  return {
    code,
    fields: {
      grant_type: 'authorization_code',
      code,
      redirect_uri: CALLBACK,
      client_id: client,
      code_verifier: checks.pkceCodeVerifier,
    },
  };
}

/** Where an app is sent back to, or the page that is shown. */
async function authorize(params: Record<string, string>, init: RequestInit = {}) {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'app',
    redirect_uri: CALLBACK,
    scope: SCOPE,
    state: 'abc',
    aud: server.fhir,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    ...params,
  });
  for (const [name, value] of Object.entries(params)) if (value === '') query.delete(name);
  if (init.method === 'POST') return server.browser().open('/auth/authorize', { ...init, body: query });
  return server.browser().open(`/auth/authorize?${query}`);
}

describe('a standalone launch', () => {
  test('smart_token_exchange, _response_body, _response_headers: a token for the patient who was chosen', async () => {
    const { fields } = await codeFor();
    const { answer, body } = await exchange(fields, { origin: 'https://app.example.org' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toContain('no-store');
    expect(answer.headers.get('pragma')).toContain('no-cache');
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example.org');
    expect(body).toMatchObject({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      id_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: SCOPE,
      patient: 'ines',
      need_patient_banner: true,
      smart_style_url: `${server.issuer}/style.json`,
    });
  });

  test('authorize-post: the same by a form', async () => {
    const page = await authorize({}, { method: 'POST' });
    expect(page.text).toContain('<h1>Sign in</h1>');
  });

  test('aud with a slash at its end is the same server', async () => {
    expect((await authorize({ aud: `${server.fhir}/` })).text).toContain('<h1>Sign in</h1>');
  });

  test('a patient opens only their own record, without being asked for whom', async () => {
    const { tokens } = await launch(server, { scope: SCOPE, user: 'patient' });
    expect(tokens.patient).toBe('ines');
    expect(tokens.claims()?.fhirUser).toBe(`${server.fhir}/Patient/ines`);
  });

  test('a related person opens the record of whom they stand for', async () => {
    const { tokens } = await launch(server, { scope: SCOPE, user: 'mother' });
    expect(tokens.patient).toBe('ines');
  });

  test('a practitioner is shown the patients whom their organization treats, by name, and no others', async () => {
    const browser = server.browser();
    const { url } = await requestOf(server, await configure(server), { scope: SCOPE });
    const signIn = await browser.open(url.href);
    const picker = await browser.submit(signIn, '/login', { username: 'Doctor', password: PASSWORD });
    expect(picker.text).toMatch(/Ines Alba.*Juan Brook/s);
    expect(picker.text).not.toContain('Away');
    const path = new URL(picker.url).pathname;
    expect((await browser.open(`${path}?name=bro`)).text).not.toContain('Ines');
    const refused = await browser.submit(picker, '/patient', { patient: 'away' });
    expect(refused.text).toContain('cannot be opened');
    expect((await browser.submit(picker, '/patient', { patient: 'juan' })).text).toContain('Juan Brook');
  });

  test('launch/encounter: a visit of the patient is chosen along', async () => {
    const scope = `${SCOPE} launch/encounter`;
    const { tokens } = await launch(server, { scope, consent: { encounter: 'visit' } });
    expect(tokens).toMatchObject({ patient: 'ines', encounter: 'visit' });
    const other = await launch(server, { scope, consent: { encounter: 'no-visit-of-hers' } });
    expect(other.tokens.encounter).toBeUndefined();
  });

  test('a second launch in the same browser picks another patient and gets that one, and both live', async () => {
    const first = await launch(server, { scope: SCOPE, patient: 'ines' });
    const second = await launch(server, { scope: SCOPE, patient: 'juan', browser: first.browser });
    expect([first.tokens.patient, second.tokens.patient]).toEqual(['ines', 'juan']);
    for (const { tokens, patient } of [
      { tokens: first.tokens, patient: 'ines' },
      { tokens: second.tokens, patient: 'juan' },
    ]) {
      const me = await fetch(`${server.issuer}/whoami`, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      });
      expect(await me.json()).toMatchObject({ patient, fhirUser: 'Practitioner/ada', scope: SCOPE });
    }
  });
});

describe('scopes', () => {
  test.each([
    ['v2', 'patient/Patient.rs patient/Observation.cruds'],
    ['v1', 'patient/Patient.read patient/Observation.write patient/*.*'],
    ['wildcards', 'patient/*.rs user/*.r'],
    [
      'granular',
      `patient/Observation.rs?category=${CATEGORY}|laboratory patient/Condition.rs?code:text=x&_lastUpdated=gt2020`,
    ],
    ['escaped', 'patient/Observation.rs?value-string=a%20b,c'],
  ])('%s are echoed as they were written', async (_syntax, scope) => {
    const { tokens } = await launch(server, { scope });
    expect(tokens.scope).toBe(scope);
  });

  test.each([
    ['unknown types and permissions', 'patient/Nothing.rs patient/Patient.sr patient/Patient.rx'],
    ['what is for backend services', 'system/Patient.rs'],
    [
      'filters that look elsewhere',
      'patient/Observation.rs?subject:Patient.name=x patient/Observation.rs?_has:Provenance:target:agent=x patient/Observation.rs?_count=1 patient/*.rs?_id=1 patient/Observation.rs?nothing=1',
    ],
  ])('%s are left out', async (_what, scope) => {
    const { tokens } = await launch(server, { scope: `openid ${scope} patient/Patient.r` });
    expect(tokens.scope).toBe('openid patient/Patient.r');
  });

  test('with none left, invalid_scope goes back to the app', async () => {
    const { url } = await authorize({ scope: 'patient/Nothing.rs' });
    expect(new URL(url).searchParams.get('error')).toBe('invalid_scope');
  });

  test('what a client was registered with is all it gets', async () => {
    await server.app.smart.clients.add({
      id: 'narrow',
      type: 'public',
      redirectUris: [CALLBACK],
      scope: 'launch/patient patient/Observation.rs',
    });
    const scope =
      'launch/patient offline_access patient/*.rs patient/Observation.cruds patient/Observation.r';
    const { tokens } = await launch(server, { client: 'narrow', scope });
    expect(tokens.scope).toBe('launch/patient patient/Observation.r');
    expect(tokens.refresh_token).toBeUndefined();
  });

  test('g10_limited_scope_grant: what is unticked is not granted', async () => {
    const scope =
      'launch/patient openid patient/Patient.rs patient/Observation.rs patient/Condition.rs offline_access';
    const { tokens } = await launch(server, { scope, consent: { scope: ['2', '4'] } });
    expect(tokens.scope).toBe('launch/patient openid patient/Patient.rs patient/Condition.rs');
    expect(tokens.refresh_token).toBeUndefined();
  });

  test('g10_smart_granular_scope_selection: what is narrowed is granted in part, also of v1', async () => {
    const scope = 'patient/Condition.rs patient/Observation.read patient/Patient.rs';
    const { tokens } = await launch(server, { scope, consent: { only: ['0.2', '1.0', '1.1'] } });
    expect(tokens.scope?.split(' ')).toEqual([
      'patient/Condition.rs?category=http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern',
      `patient/Observation.rs?category=${CATEGORY}|laboratory`,
      `patient/Observation.rs?category=${CATEGORY}|vital-signs`,
      'patient/Patient.rs',
    ]);
  });

  test('with nothing ticked the page comes back and says so', async () => {
    const browser = server.browser();
    const asked = { scope: 'patient/Patient.rs', consent: { scope: [] } };
    const { url } = await requestOf(server, await configure(server), asked);
    const page = await decide(browser, await browser.open(url.href), asked);
    expect(page.text).toContain('Nothing is ticked');
  });

  test('who does not allow it: access_denied goes back, with the state', async () => {
    const browser = server.browser();
    const asked = { scope: SCOPE, consent: { decision: 'deny' } };
    const { url, checks } = await requestOf(server, await configure(server), asked);
    const { searchParams } = new URL((await decide(browser, await browser.open(url.href), asked)).url);
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('state')).toBe(checks.expectedState);
  });
});

describe('what is refused', () => {
  test.each([
    ['g10_smart_invalid_aud', { aud: 'https://inferno.healthit.gov/invalid_aud' }],
    ['no aud', { aud: '' }],
    ['an internal name for it', { aud: '', fhir_aud: 'http://localhost/fhir' }],
    ['a launch that nobody made', { launch: 'bogus' }],
    ['no PKCE', { code_challenge: '', code_challenge_method: '' }],
    ['PKCE without hashing', { code_challenge_method: 'plain' }],
    ['another response type', { response_type: 'token' }],
  ])('%s: an error in the query of the redirect, no code', async (_what, params) => {
    const { url } = await authorize(params);
    expect(url).toMatch(/^http:\/\/localhost:3999\/callback\?/);
    const { searchParams } = new URL(url);
    expect(searchParams.get('error')).toEqual(expect.any(String));
    expect(searchParams.get('state')).toBe('abc');
    expect(searchParams.get('code')).toBeNull();
  });

  test.each([
    ['an unknown client', { client_id: 'nobody' }],
    ['a redirect URI that is not registered', { redirect_uri: `${CALLBACK}/other` }],
    ['one that begins like it', { redirect_uri: `${CALLBACK}?x=1` }],
  ])('%s: a page, and no redirect', async (_what, params) => {
    const page = await authorize(params);
    expect(page.status).toBe(400);
    expect(page.url).toContain(server.issuer);
  });

  test.each([
    ['no verifier', { code_verifier: '' }],
    ['another verifier', { code_verifier: 'x'.repeat(43) }],
    ['the challenge as verifier', { code_verifier: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' }],
    ['another redirect URI', { redirect_uri: `${CALLBACK}/other` }],
    ['no redirect URI', { redirect_uri: '' }],
    ['another client', { client_id: 'other' }],
  ])('%s at the token endpoint: 400 or 401, and no token', async (_what, wrong) => {
    const { fields } = await codeFor();
    const given = Object.entries({ ...fields, ...wrong }).filter(([, value]) => value !== '');
    const { answer, body } = await exchange(Object.fromEntries(given));
    expect([400, 401]).toContain(answer.status);
    expect(body.access_token).toBeUndefined();
  });

  test('BAD_CODE is 400', async () => {
    const { fields } = await codeFor();
    const { answer, body } = await exchange({ ...fields, code: 'BAD_CODE' });
    expect([answer.status, body.error]).toEqual([400, 'invalid_grant']);
  });

  test('errors are JSON, also where HTML is asked for', async () => {
    const { answer } = await exchange(
      { grant_type: 'authorization_code', client_id: 'app' },
      { accept: 'text/html' },
    );
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  });

  test('RFC 6749 4.1.2: a code that is used again ends what it has given', async () => {
    const { fields } = await codeFor();
    const { body } = await exchange(fields);
    expect((await exchange(fields)).answer.status).toBe(400);
    const me = await fetch(`${server.issuer}/whoami`, {
      headers: { authorization: `Bearer ${body.access_token}` },
    });
    expect(me.status).toBe(401);
    const refresh = await exchange({
      grant_type: 'refresh_token',
      refresh_token: body.refresh_token as string,
      client_id: 'app',
    });
    expect(refresh.answer.status).toBe(400);
  });
});

describe('clients that prove who they are', () => {
  test('client-confidential-symmetric: by Basic, without escapes or with; a wrong secret is 401', async () => {
    const { client_secret: secret = '' } = await server.app.smart.clients.add({
      id: 'web',
      type: 'confidential',
      redirectUris: [CALLBACK],
    });
    const { tokens } = await launch(server, {
      client: 'web',
      authentication: oidc.ClientSecretBasic(secret),
      scope: SCOPE,
    });
    expect(tokens.patient).toBe('ines');
    const { fields } = await codeFor(SCOPE, {}, 'web');
    const { client_id: _, ...rest } = fields;
    const basic = (text: string) => ({
      authorization: `Basic ${Buffer.from(`web:${text}`).toString('base64')}`,
    });
    expect((await exchange(rest, basic('wrong'))).answer.status).toBe(401);
    expect((await exchange(fields)).answer.status).toBe(401);
    expect((await exchange(rest, basic(secret))).answer.status).toBe(200);
  });

  test('a secret that was changed is none any more', async () => {
    const { clients } = server.app.smart;
    const { client_secret: old = '' } = await clients.add({
      id: 'turned',
      type: 'confidential',
      redirectUris: [CALLBACK],
    });
    const { client_secret: fresh = '' } = await clients.rotate('turned');
    const as = (secret: string) =>
      launch(server, { client: 'turned', authentication: oidc.ClientSecretPost(secret), scope: SCOPE });
    await expect(as(old)).rejects.toThrow();
    expect((await as(fresh)).tokens.patient).toBe('ines');
  });

  test('client-confidential-asymmetric: by a key, also to refresh', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const jwks = JSON.stringify({
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES384' }],
    });
    await server.app.smart.clients.add({ id: 'keyed', type: 'asymmetric', redirectUris: [CALLBACK], jwks });
    const key = await crypto.subtle.importKey(
      'jwk',
      privateKey.export({ format: 'jwk' }),
      { name: 'ECDSA', namedCurve: 'P-384' },
      false,
      ['sign'],
    );
    const { tokens, config } = await launch(server, {
      client: 'keyed',
      authentication: oidc.PrivateKeyJwt({ key, kid: 'k1' }),
      scope: SCOPE,
    });
    expect(tokens.id_token).toBeDefined();
    const again = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    expect(again.patient).toBe('ines');
  });

  test('pushed authorization requests (RFC 9126) keep aud, and work', async () => {
    const config = await configure(server);
    const { checks, url } = await requestOf(server, config, { scope: SCOPE });
    const pushed = await oidc.buildAuthorizationUrlWithPAR(config, url.searchParams);
    const browser = server.browser();
    const back = await decide(browser, await browser.open(pushed.href), { scope: SCOPE });
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), checks);
    expect(tokens).toMatchObject({ patient: 'ines', refresh_token: expect.any(String) });
  });
});

test('a token opens the records of the patient of its launch, and no other’s', async () => {
  const { tokens } = await launch(server, { scope: SCOPE });
  const read = async (path: string) => {
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    return (await fetch(`${server.fhir}${path}`, { headers })).status;
  };
  expect(await read('/Patient/ines')).toBe(200);
  expect(await read('/Patient')).toBe(200);
  expect(await read('/Patient/juan')).toBe(404);
  expect(await read('/Patient/juan/_history')).toBe(404);
  expect(await read('/Patient/$everything')).not.toBe(404);
});

test('who has signed in, and which app got a token for whose records, is in the audit trail', async () => {
  const { rows: before } = await server.app.pool.query('select coalesce(max(tx), 0) as tx from access_log');
  await launch(server, { scope: SCOPE });
  const { rows } = await server.app.pool.query({
    text: `select a.action, a.status, a.client, a.person, p.id, a.origin from access_log a
           left join resource p on p.rid = a.patient where a.tx > $1 and a.action in ('i', 't') order by a.tx`,
    values: [before[0].tx],
  });
  expect(rows).toEqual([
    { action: 'i', status: 200, client: null, person: expect.any(String), id: null, origin: '- 127.0.0.1' },
    { action: 't', status: 200, client: 'app', person: rows[0].person, id: 'ines', origin: null },
  ]);
  const events = await server
    .send('get', '/AuditEvent?subtype=urn:ihe:event-type-code|ITI-71&_count=1')
    .expect(200);
  expect(events.body.entry[0].resource).toMatchObject({
    type: { code: '110114' },
    agent: [{ who: { display: 'app' } }, {}, { who: { reference: rows[0].person } }],
  });
});
