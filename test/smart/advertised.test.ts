/**
 * What the authorization server says of itself is what it does (SMART App Launch 2.2, conformance.html; RFC 8414 §2): each
 * member beside what oidc-provider itself would say, each grant, method, algorithm and mode that is named tried, and those
 * that are not named refused.
 */
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as oidc from 'openid-client';
import { readConfig } from '../../src/config.ts';
import { endpointsOf } from '../../src/http/issuer.ts';
import { loadKeys } from '../../src/smart/keys.ts';
import { makeProvider } from '../../src/smart/provider.ts';
import type { Shown } from './browser.ts';
import { configure, decide, launch, requestOf } from './launch.ts';
import { CALLBACK, type SmartServer, startSmart } from './server.ts';

type Told = Readonly<Record<string, unknown>>;

let server: SmartServer;
let told: Told;
let secret: string;
const keys = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
};
type Kid = keyof typeof keys;

beforeAll(async () => {
  server = await startSmart();
  told = (await (await fetch(`${server.fhir}/.well-known/smart-configuration`)).json()) as Told;
  const jwks = JSON.stringify({
    keys: Object.entries(keys).map(([kid, { publicKey }]) => ({
      ...(publicKey as KeyObject).export({ format: 'jwk' }),
      kid,
      use: 'sig',
    })),
  });
  const { clients } = server.app.smart;
  const redirectUris = [CALLBACK];
  secret = (await clients.add({ id: 'web', type: 'confidential', redirectUris })).client_secret as string;
  await clients.add({ id: 'signed', type: 'asymmetric', redirectUris, jwks });
  await clients.add({ id: 'lab', type: 'backend', scope: 'system/*.cruds', jwks });
});
afterAll(() => server.close());

const listed = (name: string): string[] => told[name] as string[];
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** How each algorithm signs, whether it is offered or not. */
const SIGNERS: Readonly<Record<string, readonly [kid: Kid, hash: string | null, pss?: boolean]>> = {
  RS256: ['rsa', 'sha256'],
  RS384: ['rsa', 'sha384'],
  RS512: ['rsa', 'sha512'],
  PS256: ['rsa', 'sha256', true],
  PS384: ['rsa', 'sha384', true],
  PS512: ['rsa', 'sha512', true],
  ES256: ['p256', 'sha256'],
  ES384: ['p384', 'sha384'],
  ES512: ['p521', 'sha512'],
};

function assertion(client: string, alg = 'ES384', withSecret?: string): string {
  const [kid, hash, pss] = SIGNERS[alg] ?? ['rsa', 'sha256'];
  const head = base64({ alg, kid, typ: 'JWT' });
  const exp = Math.floor(Date.now() / 1000) + 300;
  const body = base64({ iss: client, sub: client, aud: told.token_endpoint, exp, jti: randomUUID() });
  const text = `${head}.${body}`;
  if (alg === 'none') return `${text}.`;
  if (alg.startsWith('HS'))
    return `${text}.${createHmac(`sha${alg.slice(2)}`, withSecret ?? '')
      .update(text)
      .digest('base64url')}`;
  const how = pss ? { padding: 6, saltLength: Number(hash?.slice(3)) / 8 } : {};
  const key = { key: keys[kid].privateKey, dsaEncoding: 'ieee-p1363', ...how } as const;
  return `${text}.${sign(hash, Buffer.from(text), key).toString('base64url')}`;
}

interface Proof {
  readonly fields?: Record<string, string>;
  readonly headers?: Record<string, string>;
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const asserted = (jwt: string): Proof => ({
  fields: { client_assertion_type: JWT_BEARER, client_assertion: jwt },
});

/** How a client proves who it is, whether it is offered or not; and which client it is. */
const PROOFS: Readonly<Record<string, readonly [client: string, proof: () => Proof]>> = {
  client_secret_basic: [
    'web',
    () => ({ headers: { authorization: `Basic ${Buffer.from(`web:${secret}`).toString('base64')}` } }),
  ],
  client_secret_post: ['web', () => ({ fields: { client_id: 'web', client_secret: secret } })],
  private_key_jwt: ['signed', () => asserted(assertion('signed'))],
  none: ['app', () => ({ fields: { client_id: 'app' } })],
  client_secret_jwt: ['web', () => asserted(assertion('web', 'HS256', secret))],
  tls_client_auth: ['signed', () => ({ fields: { client_id: 'signed' } })],
};

async function post(endpoint: string, fields: Record<string, string>, { fields: more, headers = {} }: Proof) {
  const body = new URLSearchParams({ ...fields, ...more });
  const answer = await fetch(told[endpoint] as string, { method: 'POST', body, headers });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Told };
}

const SCOPE = 'openid fhirUser profile launch/patient offline_access patient/Patient.rs';

/** A code for a client, and what goes with it. */
async function codeFor(client: string, scope = SCOPE) {
  const asked = { client, scope, more: { nonce: 'n-0S6' } };
  const { url, checks } = await requestOf(server, await configure(server, client), asked);
  const browser = server.browser();
  const back = new URL((await decide(browser, await browser.open(url.href), asked)).url);
  return {
    back,
    fields: {
      grant_type: 'authorization_code',
      code: back.searchParams.get('code') as string,
      redirect_uri: CALLBACK,
      code_verifier: checks.pkceCodeVerifier,
    },
  };
}

describe('beside what oidc-provider says of itself, set up as it is', () => {
  let native: Told;
  beforeAll(async () => {
    const { app } = server;
    const provider = makeProvider(
      {
        failed: () => {},
        pool: app.pool,
        transacting: app.pool,
        clients: app.smart.clients,
        accounts: app.smart.accounts,
        endpoints: endpointsOf({ config: readConfig({ BASE_URL: server.url }) }),
        grammar: { definitions: app.definitions, baseUrl: server.fhir },
        records: app.records,
      },
      await loadKeys(app.pool, undefined),
    );
    const answer = provider.callback();
    const itself = createServer((request, response) => {
      request.headers.host = new URL(server.url).host;
      (request as IncomingMessage & { originalUrl?: string }).originalUrl = `/auth${request.url}`;
      void answer(request, response);
    });
    await new Promise<void>((resolve) => itself.listen(0, '127.0.0.1', resolve));
    const { port } = itself.address() as AddressInfo;
    native = (await (
      await fetch(`http://127.0.0.1:${port}/.well-known/openid-configuration`)
    ).json()) as Told;
    itself.close();
  });

  test('all that it says is said, and the same', () => {
    const same = (value: unknown) => (Array.isArray(value) ? [...value].sort() : value);
    const {
      scopes_supported: scopes,
      claims_supported: claims,
      ...rest
    } = native as Record<string, string[]>;
    for (const [name, value] of Object.entries(rest))
      expect([name, same(told[name])]).toEqual([name, same(value)]);
    // these are more, as it does not know of SMART's scopes and of what every id token holds
    expect(listed('scopes_supported')).toEqual(expect.arrayContaining(scopes as string[]));
    expect(listed('claims_supported')).toEqual(
      expect.arrayContaining((claims as string[]).filter((one) => one !== 'sid')),
    );
  });

  test('what is said beyond it is ours, and tried below or in discovery.test.ts', () => {
    expect(
      Object.keys(told)
        .filter((name) => !(name in native))
        .sort(),
    ).toEqual([
      'associated_endpoints',
      'capabilities',
      'introspection_endpoint_auth_methods_supported',
      'introspection_endpoint_auth_signing_alg_values_supported',
      'management_endpoint',
      'request_parameter_supported',
      'revocation_endpoint_auth_methods_supported',
      'revocation_endpoint_auth_signing_alg_values_supported',
      'user_access_brand_bundle',
      'userinfo_endpoint',
    ]);
  });
});

test('every endpoint is there, and no other that oidc-provider has', async () => {
  for (const [name, url] of Object.entries(told))
    if (/_endpoint$|_uri$|_bundle$/.test(name)) {
      const answers = await Promise.all([fetch(url as string), fetch(url as string, { method: 'POST' })]);
      expect([name, answers.some(({ status }) => status !== 404)]).toEqual([name, true]);
    }
  for (const path of [
    'device/auth',
    'device',
    'session/end',
    'backchannel',
    'me',
    'challenge',
    'reg',
    'request',
  ])
    expect([path, (await fetch(`${server.issuer}/${path}`)).status]).toEqual([path, 404]);
});

describe('grant_types_supported', () => {
  test('authorization_code and refresh_token', async () => {
    const { fields } = await codeFor('app');
    const first = await post('token_endpoint', fields, { fields: { client_id: 'app' } });
    expect(first.status).toBe(200);
    const again = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token as string };
    expect((await post('token_endpoint', again, { fields: { client_id: 'app' } })).status).toBe(200);
  });

  test('client_credentials', async () => {
    const fields = { grant_type: 'client_credentials', scope: 'system/*.rs' };
    expect((await post('token_endpoint', fields, asserted(assertion('lab')))).status).toBe(200);
  });

  test('they are these three', () => {
    expect(listed('grant_types_supported')).toEqual([
      'authorization_code',
      'refresh_token',
      'client_credentials',
    ]);
  });

  test.each([
    ['password', { username: 'doctor', password: 'correct horse battery' }],
    ['implicit', {}],
    ['urn:ietf:params:oauth:grant-type:jwt-bearer', { assertion: 'x' }],
    ['urn:ietf:params:oauth:grant-type:saml2-bearer', { assertion: 'x' }],
    ['urn:ietf:params:oauth:grant-type:device_code', { device_code: 'x' }],
    ['urn:ietf:params:oauth:grant-type:token-exchange', { subject_token: 'x' }],
    ['urn:openid:params:grant-type:ciba', { auth_req_id: 'x' }],
  ])('%s is none', async (grant, more) => {
    const fields = { grant_type: grant, scope: 'system/*.rs', ...more };
    const { status, body } = await post('token_endpoint', fields, asserted(assertion('lab')));
    expect([status, body.error, body.access_token]).toEqual([400, 'unsupported_grant_type', undefined]);
  });
});

describe('how a client proves who it is', () => {
  const ENDPOINTS = ['token', 'introspection', 'revocation'];

  /** Uses an endpoint, with a right proof of that kind. */
  async function use(endpoint: string, method: string) {
    const [client, proof] = PROOFS[method] as (typeof PROOFS)[string];
    const { fields } = await codeFor(client);
    if (endpoint === 'token') return post('token_endpoint', fields, proof());
    const good = Object.entries(PROOFS).find(([, [one]]) => one === client)?.[1][1] as () => Proof;
    const { body } = await post('token_endpoint', fields, good());
    return post(`${endpoint}_endpoint`, { token: body.access_token as string }, proof());
  }

  const all = ENDPOINTS.flatMap((endpoint) => Object.keys(PROOFS).map((method) => ({ endpoint, method })));

  test.each(all)('$method at the $endpoint endpoint, as it says', async ({ endpoint, method }) => {
    const isNamed = listed(`${endpoint}_endpoint_auth_methods_supported`).includes(method);
    const { status, body } = await use(endpoint, method);
    if (!isNamed)
      return expect([status >= 400 && status < 500, body.access_token, body.active]).toEqual([
        true,
        undefined,
        undefined,
      ]);
    expect(status).toBe(200);
    if (endpoint === 'introspection') expect(body.active).toBe(true);
  });

  test.each(ENDPOINTS)('the %s endpoint names nothing that is not tried', (endpoint) => {
    for (const method of listed(`${endpoint}_endpoint_auth_methods_supported`))
      expect(PROOFS).toHaveProperty(method);
    expect(listed(`${endpoint}_endpoint_auth_signing_alg_values_supported`)).toEqual(['RS384', 'ES384']);
  });

  test.each([...Object.keys(SIGNERS), 'HS256', 'HS384', 'none'])(
    '%s of an assertion, as it says',
    async (alg) => {
      const { body } = await post(
        'token_endpoint',
        { grant_type: 'client_credentials', scope: 'system/*.rs' },
        asserted(assertion('lab')),
      );
      const isNamed = listed('token_endpoint_auth_signing_alg_values_supported').includes(alg);
      for (const [endpoint, fields] of [
        ['token_endpoint', { grant_type: 'client_credentials', scope: 'system/*.rs' }],
        ['introspection_endpoint', { token: body.access_token as string }],
        ['revocation_endpoint', { token: body.access_token as string }],
      ] as const) {
        const { status } = await post(endpoint, fields, asserted(assertion('lab', alg, 'lab')));
        expect([endpoint, status]).toEqual([endpoint, isNamed ? 200 : 401]);
      }
    },
  );
});

describe('the authorization endpoint', () => {
  async function asked(more: Record<string, string>, without: string[] = []): Promise<Shown> {
    const { url } = await requestOf(server, await configure(server), { scope: SCOPE, more });
    for (const name of without) url.searchParams.delete(name);
    const browser = server.browser();
    return decide(browser, await browser.open(url.href), { scope: SCOPE });
  }

  test.each([
    ['query', (page: Shown) => new URL(page.url).searchParams],
    ['fragment', (page: Shown) => new URLSearchParams(new URL(page.url).hash.slice(1))],
    [
      'form_post',
      (page: Shown) =>
        new URLSearchParams(
          [...page.text.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(
            ([, name = '', value = '']): [string, string] => [name, value],
          ),
        ),
    ],
  ])('response_mode %s', async (mode, parametersOf) => {
    expect(listed('response_modes_supported')).toContain(mode);
    const parameters = parametersOf(await asked({ response_mode: mode }));
    expect(parameters.get('code')).toMatch(/^[\w-]{20,}$/);
    // authorization_response_iss_parameter_supported (RFC 9207): which server it was
    expect(parameters.get('iss')).toBe(server.issuer);
  });

  test('errors say which server it was, too (RFC 9207)', async () => {
    expect(told.authorization_response_iss_parameter_supported).toBe(true);
    const back = new URL((await asked({ aud: 'https://evil.example.org/fhir' })).url);
    expect([back.searchParams.get('error'), back.searchParams.get('iss')]).toEqual([
      'invalid_request',
      server.issuer,
    ]);
  });

  test.each(['web_message', 'jwt', 'query.jwt', 'form_post.jwt'])(
    'response_mode %s is none',
    async (mode) => {
      const page = await asked({ response_mode: mode });
      expect(page.url + page.text).not.toMatch(/[?&#]code=|name="code"/);
    },
  );

  test.each(['token', 'id_token', 'code id_token', 'code token', 'none', 'device_code'])(
    'response_type %s is none',
    async (type) => {
      expect(listed('response_types_supported')).toEqual(['code']);
      const back = new URL((await asked({ response_type: type, nonce: 'n' })).url);
      expect(back.searchParams.get('error')).toMatch(/^(unsupported_response_type|invalid_request)$/);
      expect(back.href).not.toMatch(/[?&#](code|access_token|id_token)=/);
    },
  );

  test('code_challenge_method: S256, not plain, and not none', async () => {
    expect(listed('code_challenge_methods_supported')).toEqual(['S256']);
    expect(new URL((await asked({})).url).searchParams.get('code')).not.toBeNull();
    for (const page of [
      await asked({ code_challenge_method: 'plain' }),
      await asked({}, ['code_challenge_method']),
      await asked({}, ['code_challenge', 'code_challenge_method']),
    ])
      expect(new URL(page.url).searchParams.get('error')).toBe('invalid_request');
  });

  test.each([
    ['request_parameter_supported', { request: 'eyJhbGciOiJub25lIn0.e30.' }],
    ['request_uri_parameter_supported', { request_uri: 'https://app.example.org/request' }],
  ])('%s is false, and so it is', async (name, more) => {
    expect(told[name]).toBe(false);
    const page = await asked(more as Record<string, string>);
    expect(page.url + page.text).not.toMatch(/[?&#]code=/);
  });

  test('claims_parameter_supported is false: what is asked for by it is not in the id token', async () => {
    expect(told.claims_parameter_supported).toBe(false);
    const claims = JSON.stringify({ id_token: { name: { essential: true } } });
    const asking = { scope: 'openid launch/patient patient/Patient.rs', more: { claims } };
    const { tokens } = await launch(server, asking);
    expect(tokens.claims()).not.toHaveProperty('name');
  });
});

describe('tokens', () => {
  test('claims_supported, subject_types_supported, id_token_signing_alg_values_supported: what an id token holds', async () => {
    const { fields } = await codeFor('app');
    const { body } = await post('token_endpoint', fields, { fields: { client_id: 'app' } });
    const [head, claims] = (body.id_token as string)
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Told) as [Told, Told];
    expect([head.alg]).toEqual(listed('id_token_signing_alg_values_supported'));
    const known = new Set([...listed('claims_supported'), 'at_hash']);
    expect(Object.keys(claims).filter((name) => !known.has(name))).toEqual([]);
    expect(listed('claims_supported').filter((name) => !(name in claims) && name !== 'auth_time')).toEqual(
      [],
    );
    // public: the same for every app
    expect(listed('subject_types_supported')).toEqual(['public']);
    const other = await codeFor('web');
    const second = await post(
      'token_endpoint',
      other.fields,
      (PROOFS.client_secret_basic as (typeof PROOFS)[string])[1](),
    );
    const { sub } = JSON.parse(
      Buffer.from((second.body.id_token as string).split('.')[1] as string, 'base64url').toString(),
    );
    expect(sub).toBe(claims.sub);
  });

  test('userinfo_endpoint: by GET and POST, with the token in the header', async () => {
    const { fields } = await codeFor('app');
    const { body } = await post('token_endpoint', fields, { fields: { client_id: 'app' } });
    const headers = { authorization: `Bearer ${body.access_token}` };
    for (const method of ['GET', 'POST']) {
      const answer = await fetch(told.userinfo_endpoint as string, { method, headers });
      expect(await answer.json()).toEqual({
        sub: expect.any(String),
        fhirUser: `${server.fhir}/Practitioner/ada`,
        name: 'Dr. Ada Berg',
      });
    }
  });

  test('scopes_supported: each is granted to who may have it, as it is asked for', async () => {
    const scopes = listed('scopes_supported');
    const system = scopes.filter((scope) => scope.startsWith('system/'));
    const fields = { grant_type: 'client_credentials', scope: system.join(' ') };
    const { body } = await post('token_endpoint', fields, asserted(assertion('lab')));
    expect((body.scope as string).split(' ').sort()).toEqual([...system].sort());

    const launching = await fetch(`${server.issuer}/launch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${body.access_token}` },
      body: JSON.stringify({ patient: 'ines' }),
    });
    const { launch: value } = (await launching.json()) as { launch: string };
    const personal = scopes.filter((scope) => !system.includes(scope));
    const { tokens } = await launch(server, { scope: personal.join(' '), more: { launch: value } });
    expect(tokens.scope?.split(' ').sort()).toEqual([...personal].sort());
  });

  test('context-standalone-encounter: launch/encounter gives the one that is chosen', async () => {
    expect(listed('capabilities')).toContain('context-standalone-encounter');
    const scope = 'launch/patient launch/encounter patient/Encounter.rs';
    const { tokens } = await launch(server, { scope, consent: { encounter: 'visit' } });
    expect(tokens.encounter).toBe('visit');
  });

  test('pushed_authorization_request_endpoint: what is pushed is what is asked (RFC 9126)', async () => {
    const config = await configure(server);
    const { url, checks } = await requestOf(server, config, { scope: SCOPE });
    const pushed = await oidc.buildAuthorizationUrlWithPAR(config, url.searchParams);
    expect([...pushed.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    const browser = server.browser();
    const back = await decide(browser, await browser.open(pushed.href), { scope: SCOPE });
    expect((await oidc.authorizationCodeGrant(config, new URL(back.url), checks)).access_token).toBeDefined();
  });
});
