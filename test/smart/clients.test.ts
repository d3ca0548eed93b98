/** Clients that others have made, as their users use them: fhirclient, fhir-kit-client, oauth4webapi, @medplum/core. */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { MedplumClient } from '@medplum/core';
import { Client as FhirKitClient } from 'fhir-kit-client';
import * as oauth from 'oauth4webapi';
import type { Browser } from './browser.ts';
import { decide } from './launch.ts';
import { type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());

/** Without its types, which would bring those of browsers into every file. */
const { default: smart } = await import('fhirclient' as string);

describe('fhirclient', () => {
  const SCOPE = 'launch/patient openid fhirUser offline_access patient/Patient.rs';
  let app: Server;
  let url: string;
  /** what the app got, at its last launch */
  let client: {
    state: { tokenResponse: Record<string, unknown> };
    patient: { id: string };
    refresh(): Promise<unknown>;
    request(url: string): Promise<unknown>;
  };

  beforeAll(async () => {
    // one person's session, in the app
    const kept = new Map<string, unknown>();
    const storage = {
      get: async (key: string) => kept.get(key),
      set: async (key: string, value: unknown) => {
        kept.set(key, value);
        return value;
      },
      unset: async (key: string) => kept.delete(key),
    };
    app = createServer(async (request, response) => {
      const it = Object.assign(request, { protocol: 'http' });
      const api = smart(it, response, storage);
      const path = new URL(request.url as string, url).pathname;
      const iss = path === '/standalone' ? { iss: server.fhir } : {};
      if (path === '/cb') {
        client = await api.ready();
        response.end('ready');
      } else
        await api.authorize({
          client_id: 'kit',
          redirect_uri: `${url}/cb`,
          scope: path === '/standalone' ? SCOPE : SCOPE.replace('launch/patient', 'launch'),
          pkceMode: 'required',
          ...iss,
        });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => app.once('listening', resolve));
    url = `http://127.0.0.1:${(app.address() as { port: number }).port}`;
    await server.app.smart.clients.add({
      id: 'kit',
      name: 'Kit',
      type: 'public',
      redirectUris: [`${url}/cb`],
    });
  });
  afterAll(() => app.close());

  /** The app's redirect, the person's decisions, and back. */
  async function launched(path: string, browser: Browser): Promise<void> {
    const redirected = await fetch(url + path, { redirect: 'manual' });
    const page = await browser.open(redirected.headers.get('location') as string);
    const back = await decide(browser, page, { scope: SCOPE });
    expect(await (await fetch(back.url)).text()).toBe('ready');
  }

  test('standalone: finds the server, gets patient and tokens, refreshes without saying who it is', async () => {
    await launched('/standalone', server.browser());
    expect(client.patient.id).toBe('ines');
    const { access_token: before } = client.state.tokenResponse;
    await client.refresh();
    expect(client.state.tokenResponse.access_token).not.toBe(before);
    expect(client.state.tokenResponse.patient).toBe('ines');
    expect(await client.request('Patient/ines')).toMatchObject({ id: 'ines' });
    await expect(client.request('Patient/juan')).rejects.toThrow(/404|not-found/i);
  });

  test('EHR launch: iss and launch lead to the patient of the launch', async () => {
    const ehr = await server.app.issueToken({ scope: 'system/*.cruds', client: 'ehr', minutes: 5 });
    const answer = await fetch(`${server.issuer}/launch`, {
      method: 'POST',
      body: '{"patient":"juan","encounter":"visit"}',
      headers: { authorization: `Bearer ${ehr}` },
    });
    const { launch } = (await answer.json()) as { launch: string };
    await launched(`/launch?${new URLSearchParams({ iss: server.fhir, launch })}`, server.browser());
    expect(client.patient.id).toBe('juan');
    expect(client.state.tokenResponse.encounter).toBe('visit');
  });
});

test('oauth4webapi, strict: discovery, client credentials by a key, introspection, revocation; fhir-kit-client reads', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] });
  await server.app.smart.clients.add({ id: 'lab', type: 'backend', scope: 'system/*.rs', jwks });
  const http = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(server.issuer);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http));
  const key = await crypto.subtle.importKey(
    'jwk',
    privateKey.export({ format: 'jwk' }),
    { name: 'ECDSA', namedCurve: 'P-384' },
    false,
    ['sign'],
  );
  const lab: oauth.Client = { client_id: 'lab' };
  // its audience is the issuer alone
  const auth = oauth.PrivateKeyJwt({ key, kid: 'k' });
  const parameters = new URLSearchParams({ scope: 'system/Patient.rs' });
  const answered = await oauth.clientCredentialsGrantRequest(as, lab, auth, parameters, http);
  const { access_token: token } = await oauth.processClientCredentialsResponse(as, lab, answered);
  const seen = await oauth.introspectionRequest(as, lab, auth, token, http);
  expect(await oauth.processIntrospectionResponse(as, lab, seen)).toMatchObject({
    active: true,
    client_id: 'lab',
    scope: 'system/Patient.rs',
  });

  const client = new FhirKitClient({ baseUrl: server.fhir, bearerToken: token });
  const { tokenUrl, authorizeUrl } = await client.smartAuthMetadata();
  expect([tokenUrl?.href, authorizeUrl?.href]).toEqual([
    `${server.issuer}/token`,
    `${server.issuer}/authorize`,
  ]);
  expect(await client.read({ resourceType: 'Patient', id: 'ines' })).toMatchObject({ id: 'ines' });
  expect(await client.search({ resourceType: 'Patient', searchParams: { name: 'alba' } })).toMatchObject({
    total: 1,
  });

  await oauth.processRevocationResponse(await oauth.revocationRequest(as, lab, auth, token, http));
  await expect(client.read({ resourceType: 'Patient', id: 'ines' })).rejects.toMatchObject({
    response: { status: 401 },
  });
});

test('@medplum/core: a backend service signs in by an assertion, reads, writes, and walks through pages', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] });
  await server.app.smart.clients.add({ id: 'ehr', type: 'backend', scope: 'system/*.cruds', jwks });
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const aud = `${server.issuer}/token`;
  const exp = Math.floor(Date.now() / 1000) + 240;
  const text = [
    { alg: 'ES384', kid: 'k' },
    { iss: 'ehr', sub: 'ehr', aud, exp, jti: randomUUID() },
  ]
    .map(base64)
    .join('.');
  const signature = sign('sha384', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const medplum = new MedplumClient({
    baseUrl: server.url,
    fhirUrlPath: 'fhir',
    tokenUrl: aud,
    clientId: 'ehr',
    cacheTime: 0,
    autoBatchTime: 0,
  });
  await medplum.startJwtAssertionLogin(`${text}.${signature.toString('base64url')}`);
  expect(await medplum.readResource('Patient', 'ines')).toMatchObject({ id: 'ines' });
  const made = await medplum.createResource({ resourceType: 'Patient', name: [{ family: 'Medplum' }] });
  expect(await medplum.searchOne('Patient', { family: 'Medplum' })).toMatchObject({ id: made.id });
  const seen: unknown[] = [];
  for await (const page of medplum.searchResourcePages('Patient', { _count: 2, _sort: '_id' }))
    seen.push(...page.map(({ id }) => id));
  expect(seen).toEqual(expect.arrayContaining(['away', 'ines', 'juan', made.id]));
  expect(new Set(seen).size).toBe(seen.length);
});
