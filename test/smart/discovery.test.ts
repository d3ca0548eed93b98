/** What the authorization server says of itself (SMART App Launch 2.2, conformance.html; rows A of the test kits). */
import { request as httpRequest } from 'node:http';
import { type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
let smart: Record<string, unknown>;
beforeAll(async () => {
  server = await startSmart();
  smart = await json('/fhir/.well-known/smart-configuration');
});
afterAll(() => server.close());

async function json(path: string): Promise<Record<string, unknown>> {
  const answer = await fetch(server.url + path, { headers: { accept: 'application/json' } });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^application\/(?:jwk-set\+)?json/);
  return answer.json() as Promise<Record<string, unknown>>;
}

test('well_known_endpoint: JSON whatever is asked for, with absolute endpoints under BASE_URL', async () => {
  for (const accept of ['*/*', 'application/json', 'application/fhir+json']) {
    const answer = await fetch(`${server.fhir}/.well-known/smart-configuration`, { headers: { accept } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  }
  for (const [name, value] of Object.entries(smart))
    if (/_endpoint$|^issuer$|_uri$/.test(name)) expect(value).toMatch(new RegExp(`^${server.issuer}`));
});

test('well_known_capabilities: grants, S256 without plain, issuer and keys', () => {
  expect(smart).toMatchObject({
    issuer: server.issuer,
    jwks_uri: `${server.issuer}/jwks`,
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: expect.arrayContaining(['private_key_jwt', 'client_secret_basic']),
    token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
    id_token_signing_alg_values_supported: expect.arrayContaining(['RS256']),
    subject_types_supported: ['public'],
  });
  expect(smart.grant_types_supported).toEqual(
    expect.arrayContaining(['authorization_code', 'client_credentials', 'refresh_token']),
  );
});

test.each([
  [
    'g10 standalone',
    'launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post permission-v2 permission-v1',
  ],
  [
    'g10 EHR',
    'launch-ehr context-banner context-style context-ehr-patient context-ehr-encounter permission-user',
  ],
  [
    'Argonaut SMART Imaging Access',
    'smart-imaging-access http://fhir.org/argonaut/smart-imaging/capabilities/app-launch http://fhir.org/argonaut/smart-imaging/capabilities/backend-services',
  ],
])('%s capabilities', (_kit, wanted) => {
  expect(smart.capabilities).toEqual(expect.arrayContaining(wanted.split(' ')));
});

test('us_core_smart_well_known_capabilities: scopes of v2, introspection', () => {
  const v2 = /^(patient|user|system|\*)\/([A-Za-z*]+)\.([cruds]+)(\?\w+=.*)?$/;
  expect((smart.scopes_supported as string[]).some((scope) => v2.test(scope))).toBe(true);
  expect(smart.introspection_endpoint).toBe(`${server.issuer}/introspect`);
});

test('openid-configuration, and the RFC 8414 name, are the same object', async () => {
  expect(await json('/auth/.well-known/openid-configuration')).toEqual(smart);
  expect(await json('/auth/.well-known/oauth-authorization-server')).toEqual(smart);
});

test('SMART 1 oauth-uris of the CapabilityStatement equal it, also where it has none', async () => {
  const capability = await json('/fhir/metadata');
  const { security } = (capability.rest as { security: Security }[])[0] as { security: Security };
  expect(security.service[0]?.coding[0]?.code).toBe('SMART-on-FHIR');
  const uris = Object.fromEntries(
    (security.extension[0]?.extension ?? []).map(({ url, valueUri }) => [url, valueUri]),
  );
  expect(security.extension[0]?.url).toBe(
    'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris',
  );
  expect(uris).toEqual({
    authorize: smart.authorization_endpoint,
    token: smart.token_endpoint,
    introspect: smart.introspection_endpoint,
    manage: smart.management_endpoint,
    revoke: smart.revocation_endpoint,
  });
  expect(smart.registration_endpoint).toBeUndefined();
});

interface Security {
  readonly service: readonly { readonly coding: readonly { readonly code: string }[] }[];
  readonly extension: readonly {
    readonly url: string;
    readonly extension: readonly { readonly url: string; readonly valueUri: string }[];
  }[];
}

test('smart_cors: browser apps may read both', async () => {
  for (const path of [
    '/fhir/.well-known/smart-configuration',
    '/fhir/metadata',
    '/auth/.well-known/openid-configuration',
  ]) {
    const answer = await fetch(server.url + path, { headers: { origin: 'https://app.example.org' } });
    expect(answer.headers.get('access-control-allow-origin')).toMatch(/^(\*|https:\/\/app\.example\.org)$/);
  }
});

test('the keys are public RSA keys with a kid', async () => {
  const { keys } = (await json('/auth/jwks')) as { keys: Record<string, unknown>[] };
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) {
    expect(key).toMatchObject({ kty: 'RSA', use: 'sig', kid: expect.any(String) });
    expect(key.d).toBeUndefined();
  }
});

test('g10_smart_style_url: JSON for anybody', async () => {
  expect(await json('/auth/style.json')).toMatchObject({ color_text: expect.stringMatching(/^#/) });
});

test('user-access brands: a Bundle of an Organization and this Endpoint', async () => {
  const bundle = (await json('/auth/brands.json')) as { entry: { resource: Record<string, unknown> }[] };
  expect(smart.user_access_brand_bundle).toBe(`${server.issuer}/brands.json`);
  expect(bundle.entry.map(({ resource }) => resource.resourceType)).toEqual(['Endpoint', 'Organization']);
  expect(bundle.entry[0]?.resource.address).toBe(server.fhir);
});

test('Host: evil changes no endpoint, no link, no cookie', async () => {
  const evil = await new Promise<string>((resolve, reject) => {
    const query = 'response_type=code&client_id=app&redirect_uri=http://localhost:3999/callback&scope=openid';
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
    const sent = httpRequest(
      `${server.url}/auth/authorize?${query}&code_challenge=${challenge}&code_challenge_method=S256`,
      {
        headers: {
          host: 'evil.example.org',
          'x-forwarded-host': 'evil.example.org',
          'x-forwarded-proto': 'https',
        },
      },
      (answer) => resolve(JSON.stringify([answer.statusCode, answer.headers])),
    );
    sent.on('error', reject).end();
  });
  expect(evil).toContain('"location":"/auth/interaction/');
  expect(evil).not.toContain('evil');
  expect(evil).not.toMatch(/secure;/i);
});

test('what is not there is 404, what is there with another method 405', async () => {
  expect((await fetch(`${server.issuer}/nothing`)).status).toBe(404);
  const wrong = await fetch(`${server.issuer}/token`);
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
});
