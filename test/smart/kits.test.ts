/**
 * What the SMART App Launch and (g)(10) test kits of Inferno do and assert, by the names of their tests, in their order: rows
 * A to E that no other test here has by name.
 */
import { createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { Browser, Filled } from './browser.ts';
import { configure, decide, requestOf } from './launch.ts';
import { CALLBACK, put, type SmartServer, startSmart } from './server.ts';

type Told = Readonly<Record<string, unknown>>;

const US_CORE = [
  ...['AllergyIntolerance', 'CarePlan', 'CareTeam', 'Condition', 'Coverage', 'Device', 'DiagnosticReport'],
  ...['DocumentReference', 'Encounter', 'Goal', 'Immunization', 'MedicationDispense', 'MedicationRequest'],
  ...['Observation', 'Patient', 'Procedure', 'Provenance', 'RelatedPerson', 'ServiceRequest', 'Specimen'],
];
const DIRECTORY = ['Location', 'Medication', 'Organization', 'Practitioner', 'PractitionerRole', 'Endpoint'];
const scopesOf = (level: string, permission: string) =>
  [...US_CORE, ...DIRECTORY].map((type) => `${level}/${type}.${permission}`).join(' ');
const STANDALONE = `launch/patient openid fhirUser offline_access ${scopesOf('patient', 'rs')}`;
const EHR = `launch openid fhirUser offline_access ${scopesOf('user', 'rs')}`;
const ORIGIN = { origin: 'https://inferno.healthit.gov' };

let server: SmartServer;
let smart: Told;
let secret: string;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' });

beforeAll(async () => {
  server = await startSmart();
  smart = (await got(`${server.fhir}/.well-known/smart-configuration`)).body;
  const { clients } = server.app.smart;
  const redirectUris = [CALLBACK];
  const jwks = JSON.stringify({
    keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig' }],
  });
  secret = (await clients.add({ id: 'web', type: 'confidential', redirectUris })).client_secret as string;
  await clients.add({ id: 'signed', type: 'asymmetric', redirectUris, jwks });
  await clients.add({ id: 'bulk', type: 'backend', scope: 'system/*.rs', jwks });
  await put(server, { resourceType: 'Observation', id: 'pulse', ...OBSERVATION });
});
afterAll(() => server.close());

const OBSERVATION = {
  status: 'final',
  code: { text: 'pulse' },
  subject: { reference: 'Patient/ines' },
} as const;

async function got(url: string, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { headers: { accept: 'application/json', ...headers } });
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  return { status: answer.status, headers: answer.headers, body: (isJson ? JSON.parse(text) : {}) as Told };
}

const bearer = (token: unknown) => ({ authorization: `Bearer ${token}` });

async function token(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(smart.token_endpoint as string, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Told };
}

/** As Inferno makes it: `iss` and `sub` the client, five minutes, no `iat`. */
function assertion(client: string): Record<string, string> {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 300;
  const jti = randomUUID().replaceAll('-', '');
  const claims = { iss: client, sub: client, aud: smart.token_endpoint, exp, jti };
  const text = `${part({ alg: 'ES384', kid: 'k', typ: 'JWT' })}.${part(claims)}`;
  const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${text}.${sign('sha384', Buffer.from(text), key).toString('base64url')}`,
  };
}

/** How each type of client says who it is: Basic without escapes and without client_id, as Inferno does. */
const SAYS: Readonly<
  Record<string, () => { fields?: Record<string, string>; headers?: Record<string, string> }>
> = {
  app: () => ({ fields: { client_id: 'app' }, headers: ORIGIN }),
  web: () => ({ headers: { authorization: `Basic ${Buffer.from(`web:${secret}`).toString('base64')}` } }),
  signed: () => ({ fields: assertion('signed') }),
};

async function as(client: string, fields: Record<string, string>) {
  const { fields: own = {}, headers } = SAYS[client]?.() ?? {};
  return token({ ...fields, ...own }, headers);
}

interface Launching {
  readonly client?: string;
  readonly scope?: string;
  readonly launch?: string;
  readonly consent?: Filled;
  readonly browser?: Browser;
}

/** The browser's part, up to the code. */
async function redirected({ client = 'web', scope = STANDALONE, launch, consent, browser }: Launching = {}) {
  const config = await configure(server, client);
  const more: Record<string, string> = launch ? { launch } : {};
  const { url, checks } = await requestOf(server, config, { scope, more });
  const used = browser ?? server.browser();
  const back = await decide(used, await used.open(url.href), { scope, ...(consent ? { consent } : {}) });
  const { searchParams } = new URL(back.url);
  return {
    url: back.url,
    state: checks.expectedState,
    given: searchParams,
    fields: {
      grant_type: 'authorization_code',
      code: searchParams.get('code') ?? '',
      redirect_uri: CALLBACK,
      code_verifier: checks.pkceCodeVerifier,
    },
  };
}

async function launched(asked: Launching = {}) {
  const { fields } = await redirected(asked);
  return as(asked.client ?? 'web', fields);
}

/** As the EHR does it. */
async function launchOf(context: object): Promise<string> {
  const ehr = await server.app.issueToken({ scope: 'system/Patient.r', client: 'ehr', minutes: 5 });
  const answer = await fetch(`${server.issuer}/launch`, {
    method: 'POST',
    headers: bearer(ehr),
    body: JSON.stringify(context),
  });
  return ((await answer.json()) as { launch: string }).launch;
}

const search = (type: string) =>
  type === 'Patient' ? '?_id=ines' : DIRECTORY.includes(type) ? '' : '?patient=ines';

describe('A. discovery', () => {
  test('well_known_capabilities_stu1', () => {
    expect(smart).toMatchObject({
      authorization_endpoint: expect.stringMatching(/\S/),
      token_endpoint: expect.stringMatching(/\S/),
    });
    expect((smart.capabilities as unknown[]).every((one) => typeof one === 'string' && one !== '')).toBe(
      true,
    );
  });

  test('well_known_capabilities_stu2', () => {
    expect(smart.grant_types_supported).toContain('authorization_code');
    expect(smart.code_challenge_methods_supported).toContain('S256');
    expect(smart.code_challenge_methods_supported).not.toContain('plain');
    expect([typeof smart.issuer, typeof smart.jwks_uri]).toEqual(['string', 'string']);
  });

  test('ipa_smart_capabilities', () => {
    expect(smart.capabilities).toEqual(
      expect.arrayContaining([
        ...['launch-standalone', 'context-standalone-patient', 'permission-patient', 'permission-offline'],
        ...['sso-openid-connect', 'client-public', 'client-confidential-asymmetric'],
      ]),
    );
  });

  test('bulk_data_smart_discovery_v101_contents', () => {
    expect(new URL(smart.token_endpoint as string).protocol).toMatch(/^https?:$/);
    expect(smart.token_endpoint_auth_methods_supported).toContain('private_key_jwt');
    expect(smart.token_endpoint_auth_signing_alg_values_supported).toContain('ES384');
    expect(Array.isArray(smart.scopes_supported)).toBe(true);
  });

  test.each(['.well-known/smart-configuration', 'metadata'])(
    'smart_cors_well_known_endpoint, smart_cors_metadata_request: %s',
    async (path) => {
      const { status, headers } = await got(`${server.fhir}/${path}`, ORIGIN);
      expect([status, headers.get('access-control-allow-origin')]).toEqual([200, '*']);
    },
  );

  test('smart_cors_token_exchange, smart_cors_openid_fhir_user_claim: a browser app of any origin', async () => {
    const { status, headers, body } = await launched({ client: 'app', scope: STANDALONE });
    expect([status, headers.get('access-control-allow-origin')]).toEqual([200, ORIGIN.origin]);
    const claims = JSON.parse(
      Buffer.from((body.id_token as string).split('.')[1] as string, 'base64url').toString(),
    );
    const user = await got(claims.fhirUser, { ...ORIGIN, ...bearer(body.access_token) });
    expect([user.status, user.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
  });

  test('CORS: beforehand a browser asks for authorization, and the FHIR headers are shown to it', async () => {
    const ask = (url: string, method: string) =>
      fetch(url, {
        method: 'OPTIONS',
        headers: {
          ...ORIGIN,
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,content-type',
        },
      });
    for (const [url, method] of [
      [`${server.fhir}/Patient/ines`, 'GET'],
      [`${server.fhir}/Observation`, 'POST'],
      [smart.token_endpoint as string, 'POST'],
      [smart.userinfo_endpoint as string, 'GET'],
    ] as const) {
      const { status, headers } = await ask(url, method);
      expect([url, status]).toEqual([url, 204]);
      expect(headers.get('access-control-allow-origin')).toMatch(/^(\*|https:\/\/inferno\.healthit\.gov)$/);
      expect(headers.get('access-control-allow-methods')).toContain(method);
      expect(headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/authorization/);
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
    const exposed = (await got(`${server.fhir}/metadata`, ORIGIN)).headers.get(
      'access-control-expose-headers',
    );
    for (const name of ['Location', 'ETag', 'Content-Location']) expect(exposed?.split(', ')).toContain(name);
  });
});

describe('B. launch', () => {
  test('smart_app_redirect, smart_code_received: state and code come back, and nothing else goes wrong', async () => {
    const { url, given, state } = await redirected();
    expect(url.startsWith(`${CALLBACK}?`)).toBe(true);
    expect([given.get('state'), given.get('error')]).toEqual([state, null]);
    expect(given.get('code')).toMatch(/\S/);
  });

  test('smart_launch_received: the EHR opens the app with launch and iss', async () => {
    const browser = server.browser();
    const signIn = await browser.open('/auth/try');
    const page = await browser.submit(signIn, '/sign-in\\?to=try', {
      username: 'doctor',
      password: 'correct horse battery',
    });
    const to = new URL((await browser.submit(page, '/auth/try', { patient: 'ines', app: 'app' })).url);
    expect([to.searchParams.get('iss'), to.searchParams.get('launch')]).toEqual([
      server.fhir,
      expect.stringMatching(/\S/),
    ]);
  });

  test.each([
    ['g10_public_standalone_launch', 'app'],
    ['smart_token_exchange_stu2_2, confidential', 'web'],
    ['g10_asymmetric_launch', 'signed'],
  ])('%s: token, context, id token, and a refresh', async (_id, client) => {
    const { status, headers, body } = await launched({ client });
    expect(status).toBe(200);
    // smart_token_response_body_stu2_2
    for (const name of ['access_token', 'token_type', 'scope', 'id_token', 'refresh_token', 'patient'])
      expect([name, typeof body[name], body[name] !== '']).toEqual([name, 'string', true]);
    expect(typeof body.expires_in).toBe('number');
    expect(String(body.token_type).toLowerCase()).toBe('bearer');
    // smart_token_response_headers
    expect(headers.get('cache-control')).toContain('no-store');
    expect(headers.get('pragma')).toContain('no-cache');
    const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token as string };
    expect((await as(client, refresh)).status).toBe(200);
    // g10_invalid_token_refresh
    expect([400, 401]).toContain((await as(client, { ...refresh, refresh_token: randomUUID() })).status);
  });

  test.each([
    ['patient', STANDALONE],
    ['user', EHR],
  ])(
    'g10_smart_scopes, g10_patient_scope: %s/ scopes are received as they were asked for',
    async (level, scope) => {
      const launch = level === 'user' ? await launchOf({ patient: 'ines', encounter: 'visit' }) : undefined;
      const { body } = await launched({ scope, ...(launch ? { launch } : {}) });
      expect((body.scope as string).split(' ').sort()).toEqual(scope.split(' ').sort());
      for (const one of (body.scope as string).split(' ').filter((text) => text.startsWith(`${level}/`)))
        expect(one).toMatch(/^(patient|user)\/(\w+|\*)\.c?ru?d?s?$/);
    },
  );

  test('g10_unauthorized_access: without a token 401', async () => {
    const { status, headers } = await got(`${server.fhir}/Patient/ines`);
    expect([status, headers.get('www-authenticate')]).toEqual([401, expect.stringMatching(/^Bearer/)]);
  });

  test('g10_patient_context, g10_encounter_context, g10_smart_need_patient_banner, g10_smart_style_url of an EHR launch', async () => {
    const launch = await launchOf({ patient: 'ines', encounter: 'visit' });
    const { body } = await launched({ scope: EHR, launch });
    expect(body).toHaveProperty('need_patient_banner');
    const read = (path: string) => got(`${server.fhir}/${path}`, bearer(body.access_token));
    expect((await read(`Patient/${body.patient}`)).body.resourceType).toBe('Patient');
    expect((await read(`Encounter/${body.encounter}`)).body.resourceType).toBe('Encounter');
    const style = await got(body.smart_style_url as string);
    expect([style.status, typeof style.body]).toEqual([200, 'object']);
  });

  test('g10_ehr_patient_launch: launch patient/*.rs', async () => {
    const { body } = await launched({
      scope: 'launch patient/*.rs',
      launch: await launchOf({ patient: 'ines' }),
    });
    expect(body.patient).toBe('ines');
    expect((await got(`${server.fhir}/Patient/ines`, bearer(body.access_token))).status).toBe(200);
  });

  test('g10_resource_access_test: what was granted is searched', async () => {
    const { body } = await launched();
    for (const type of [...US_CORE, ...DIRECTORY]) {
      const { status } = await got(`${server.fhir}/${type}${search(type)}`, bearer(body.access_token));
      expect([type, status]).toEqual([type, 200]);
    }
  });

  test('g10_restricted_access_test: what was unticked is 403, the rest is searched', async () => {
    const scopes = STANDALONE.split(' ');
    const kept = ['Patient', 'Observation', 'Condition'];
    const ticked = scopes.flatMap((one, i) => {
      const isKept = kept.some((type) => one === `patient/${type}.rs`) || one === 'offline_access';
      return isKept ? [String(i)] : [];
    });
    const { body } = await launched({ consent: { scope: ticked } });
    expect((body.scope as string).split(' ').filter((one) => one.startsWith('patient/'))).toHaveLength(3);
    for (const type of US_CORE) {
      const { status } = await got(`${server.fhir}/${type}${search(type)}`, bearer(body.access_token));
      expect([type, status]).toEqual([type, kept.includes(type) ? 200 : 403]);
    }
  });

  test('g10_smart_v1_scopes: asked for as .read, received so, and searched', async () => {
    const scope = `launch/patient openid fhirUser offline_access ${scopesOf('patient', 'read')}`;
    const { body } = await launched({ scope });
    expect(body.scope).toBe(scope);
    for (const type of US_CORE)
      expect((await got(`${server.fhir}/${type}${search(type)}`, bearer(body.access_token))).status).toBe(
        200,
      );
  });
});

describe('C. what is refused', () => {
  test.each([
    ['smart_no_code_verifier: absent', undefined],
    ['smart_no_code_verifier: blank', ''],
    ['smart_no_code_verifier: another', 'y'.repeat(64)],
    ['smart_plain_code_verifier: the challenge itself', 'challenge'],
  ])('%s', async (_id, verifier) => {
    const config = await configure(server, 'web');
    const { url, checks } = await requestOf(server, config, { scope: STANDALONE });
    const browser = server.browser();
    const back = new URL((await decide(browser, await browser.open(url.href), { scope: STANDALONE })).url);
    const challenge = url.searchParams.get('code_challenge') as string;
    const { code_verifier: _, ...fields } = {
      grant_type: 'authorization_code',
      code: back.searchParams.get('code') as string,
      redirect_uri: CALLBACK,
      code_verifier: checks.pkceCodeVerifier,
    };
    const given = verifier === 'challenge' ? challenge : verifier;
    const { status, body } = await as('web', {
      ...fields,
      ...(given === undefined ? {} : { code_verifier: given }),
    });
    expect([400, 401]).toContain(status);
    expect(body.access_token).toBeUndefined();
  });

  test('invalid token request, Test03 and Test04: BAD_CODE is 400; a client that is none 400 or 401', async () => {
    const { fields } = await redirected();
    expect((await as('web', { ...fields, code: 'BAD_CODE' })).status).toBe(400);
    const basic = `Basic ${Buffer.from('BAD_CLIENT_ID:BAD').toString('base64')}`;
    expect([400, 401]).toContain((await token(fields, { authorization: basic })).status);
    expect([400, 401]).toContain((await token({ ...fields, client_id: 'BAD_CLIENT_ID' })).status);
  });
});

describe('D. refresh, OpenID Connect, introspection', () => {
  test('smart_token_refresh_body_stu2: numbers are numbers, scopes those of before', async () => {
    const { body } = await launched();
    const again = await as('web', {
      grant_type: 'refresh_token',
      refresh_token: body.refresh_token as string,
      scope: body.scope as string,
    });
    expect(again.body).toMatchObject({ access_token: expect.any(String), expires_in: expect.any(Number) });
    expect((again.body.scope as string).split(' ').sort()).toEqual((body.scope as string).split(' ').sort());
    expect(again.body.patient).toBe('ines');
  });

  test('smart_openid_retrieve_configuration, _required_configuration_fields, _retrieve_jwks, _decode_id_token, _token_payload', async () => {
    const { body } = await launched();
    const [head, claims] = (body.id_token as string)
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString())) as [Told, Told];
    const config = await got(`${claims.iss}/.well-known/openid-configuration`);
    expect([config.status, config.headers.get('content-type')]).toEqual([
      200,
      expect.stringMatching(/^application\/json/),
    ]);
    for (const name of [
      ...['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri', 'response_types_supported'],
      ...['subject_types_supported', 'id_token_signing_alg_values_supported'],
    ])
      expect(config.body).toHaveProperty(name);
    expect(config.body.id_token_signing_alg_values_supported).toContain('RS256');
    const { keys } = (await got(config.body.jwks_uri as string)).body as { keys: Record<string, string>[] };
    const rsa = keys.filter(({ kty }) => kty === 'RSA');
    expect(rsa.length).toBeGreaterThan(0);
    for (const key of rsa) expect(createPublicKey({ key, format: 'jwk' }).asymmetricKeyType).toBe('rsa');
    expect(rsa.map(({ kid }) => kid)).toContain(head.kid);
    const now = Date.now() / 1000;
    expect(claims).toMatchObject({ iss: config.body.issuer, sub: expect.stringMatching(/^\S{1,255}$/) });
    expect([claims.aud].flat()).toContain('web');
    expect([Number(claims.exp) > now, Number(claims.iat) <= now + 60]).toEqual([true, true]);
  });

  test('token_introspection_request_group, response group: of one that is active, and of none', async () => {
    const { body } = await launched();
    const ask = async (text: string) => {
      const answer = await fetch(smart.introspection_endpoint as string, {
        method: 'POST',
        headers: SAYS.web?.().headers ?? {},
        body: new URLSearchParams({ token: text }),
      });
      return { status: answer.status, body: (await answer.json()) as Told };
    };
    const active = await ask(body.access_token as string);
    expect([active.status, active.body.active, active.body.client_id]).toEqual([200, true, 'web']);
    expect((active.body.scope as string).split(' ').sort()).toEqual((body.scope as string).split(' ').sort());
    expect(Number(active.body.exp)).toBeGreaterThan(Date.now() / 1000);
    expect(active.body.patient).toBe(body.patient);
    expect(await ask('invalid_token_value')).toEqual({ status: 200, body: { active: false } });
  });
});

describe('E. backend services', () => {
  const asked = { grant_type: 'client_credentials', scope: 'system/*.rs' };

  test('smart_backend_services_auth_response_body', async () => {
    const { status, body } = await token({ ...asked, ...assertion('bulk') });
    expect([200, 201]).toContain(status);
    expect(body).toMatchObject({
      access_token: expect.any(String),
      token_type: expect.stringMatching(/^bearer$/i),
      expires_in: expect.any(Number),
      scope: expect.any(String),
    });
  });

  test('smart_backend_services_invalid_jwt', async () => {
    const wrong = { ...assertion('bulk'), client_assertion_type: 'not_an_assertion_type' };
    expect([400, 401]).toContain((await token({ ...asked, ...wrong })).status);
    const cut = assertion('bulk');
    const { status } = await token({
      ...asked,
      ...cut,
      client_assertion: cut.client_assertion?.slice(0, -8) as string,
    });
    expect([400, 401]).toContain(status);
  });
});
